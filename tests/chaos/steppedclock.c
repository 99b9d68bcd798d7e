/* What a process takes for the machine's clock, so many seconds off as the file says that STEPPED_CLOCK names.
 *
 * Loaded before libc (LD_PRELOAD). Only the time of day is changed: waiting and the monotonic clock are not, as they
 * are not when somebody sets a machine's clock. (libfaketime 0.9.10 would do the same but for Python's time.sleep,
 * which fails under it.)
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

typedef int (*gettime)(clockid_t, struct timespec *);

static gettime real(void)
{
    static gettime found;
    if (!found)
        found = (gettime)dlsym(RTLD_NEXT, "clock_gettime");
    return found;
}

/* Seconds that the clock is off; the file is read again at most every tenth of a second. */
static double offset(void)
{
    static double kept;
    static long read_at;
    struct timespec now;
    real()(CLOCK_MONOTONIC, &now);
    long tenths = now.tv_sec * 10 + now.tv_nsec / 100000000;
    if (tenths != read_at) {
        const char *path = getenv("STEPPED_CLOCK");
        FILE *file = path ? fopen(path, "r") : NULL;
        double found;
        read_at = tenths;
        if (file) {
            if (fscanf(file, "%lf", &found) == 1)
                kept = found;
            fclose(file);
        }
    }
    return kept;
}

int clock_gettime(clockid_t id, struct timespec *out)
{
    int result = real()(id, out);
    if (result == 0 && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
        double off = offset();
        long seconds = (long)off;
        out->tv_sec += seconds;
        out->tv_nsec += (long)((off - seconds) * 1e9);
        if (out->tv_nsec >= 1000000000L) { out->tv_sec++; out->tv_nsec -= 1000000000L; }
        if (out->tv_nsec < 0) { out->tv_sec--; out->tv_nsec += 1000000000L; }
    }
    return result;
}

int gettimeofday(struct timeval *restrict out, void *restrict zone)
{
    struct timespec now;
    (void)zone;
    if (clock_gettime(CLOCK_REALTIME, &now) != 0)
        return -1;
    out->tv_sec = now.tv_sec;
    out->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out)
        *out = now.tv_sec;
    return now.tv_sec;
}
