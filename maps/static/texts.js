// The words of the wall in its languages, and how it writes numbers and times.

const WORDS = {
  vi: {
    simulated: 'MÔ PHỎNG / SIMULATED',
    approximate: 'Ranh giới gần đúng – không phải bản đồ chính thức',
    boundaries: 'Ranh giới',
    home: 'Toàn cảnh',
    calm: 'Không có cảnh báo',
    ended: 'Vừa kết thúc',
    extreme: 'KHẨN CẤP', severe: 'CAO', moderate: 'TRUNG BÌNH', minor: 'THẤP',
    source: 'Trạm đo', report: 'Phản ánh (30 phút)', alert: 'Cảnh báo',
    layer_communes: 'Phường, xã', layer_sources: 'Trạm đo', layer_reports: 'Phản ánh', layer_labels: 'Tên phường, xã',
    traffic: 'Giao thông', flood: 'Mực nước', camera: 'Camera',
    age: 'Dữ liệu: {n} s trước',
    noAge: 'Dữ liệu: chưa có',
    threshold: 'ngưỡng {value}',
    escalated: 'tăng mức', lowered: 'giảm mức',
    cleared: 'đã hết', closed: 'đã đóng',
    simulatedShort: 'mô phỏng',
    outside: 'Ngoài ranh giới',
    more: 'và {n} cảnh báo nữa',
    underMinute: 'dưới 1 phút', minutes: '{n} phút', hours: '{h} giờ {m} phút', days: '{n} ngày',
    figures: 'Sự kiện/phút: {rate}   ·   Phản ánh hôm nay: {today}   ·   Trạm đo: {sources}',
    latest: 'Phản ánh mới nhất',
    noReports: 'Chưa có phản ánh trong 30 phút',
    lost: 'MẤT KẾT NỐI VỚI MÁY CHỦ {n} s – màn hình có thể đã cũ, đang nối lại',
    restoring: 'Đang khôi phục dữ liệu…',
    broker: 'MẤT KẾT NỐI VỚI KAFKA – màn hình đã cũ, đang nối lại',
    silent: 'KHÔNG CÓ TÍN HIỆU ĐỒNG HỒ {n} s – màn hình có thể đã cũ',
    noClock: 'CHƯA CÓ TÍN HIỆU ĐỒNG HỒ – chưa xử lý dữ liệu',
    language: 'English',
    otherLanguage: 'en',
    locale: 'vi-VN',
    unit_vehicles: 'xe',
  },
  en: {
    simulated: 'SIMULATED / MÔ PHỎNG',
    approximate: 'Approximate boundaries – not the official map',
    boundaries: 'Boundaries',
    home: 'Whole city',
    calm: 'No open alert',
    ended: 'Just ended',
    extreme: 'EXTREME', severe: 'SEVERE', moderate: 'MODERATE', minor: 'MINOR',
    source: 'Sensor', report: 'Report (30 minutes)', alert: 'Alert',
    layer_communes: 'Communes', layer_sources: 'Sensors', layer_reports: 'Reports', layer_labels: 'Names',
    traffic: 'Traffic', flood: 'Water', camera: 'Camera',
    age: 'Data: {n} s ago',
    noAge: 'Data: none yet',
    threshold: 'threshold {value}',
    escalated: 'escalated', lowered: 'lowered',
    cleared: 'cleared', closed: 'closed',
    simulatedShort: 'simulated',
    outside: 'Outside the boundaries',
    more: 'and {n} more alerts',
    underMinute: 'under 1 min', minutes: '{n} min', hours: '{h} h {m} min', days: '{n} days',
    figures: 'Events/min: {rate}   ·   Reports today: {today}   ·   Sensors: {sources}',
    latest: 'Latest report',
    noReports: 'No report within 30 minutes',
    lost: 'CONNECTION TO THE SERVER LOST FOR {n} s – what you see may be old, reconnecting',
    restoring: 'Restoring the picture…',
    broker: 'CONNECTION TO KAFKA LOST – what you see is old, reconnecting',
    silent: 'NO CLOCK SIGNAL FOR {n} s – what you see may be old',
    noClock: 'NO CLOCK SIGNAL YET – no data is processed',
    language: 'Tiếng Việt',
    otherLanguage: 'vi',
    locale: 'en-GB',
    unit_vehicles: 'vehicles',
  },
};

const ZONE = 'Asia/Ho_Chi_Minh';

let language = new URLSearchParams(location.search).get('lang') === 'en' ? 'en' : 'vi';

export const currentLanguage = () => language;

export function setLanguage(next) {
  language = next in WORDS ? next : 'vi';
  const url = new URL(location.href);
  url.searchParams.set('lang', language);
  history.replaceState(null, '', url);
}

/** The words for a key, with {name} filled in. A key without words is itself. */
export function words(key, values = {}) {
  const text = WORDS[language][key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name] ?? ''));
}

/** A text that comes in each language, as rules and inventories have them. */
export const inLanguage = (text) => (text && (text[language] || text.vi || Object.values(text)[0])) || '';

/** Put fixed words into every element that names its key. */
export function fillWords(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll('[data-text]')) element.textContent = words(element.dataset.text);
}

const formats = new Map();
function dateFormat(name, options) {
  const key = `${language}/${name}`;
  if (!formats.has(key)) {
    formats.set(key, new Intl.DateTimeFormat(WORDS[language].locale, { timeZone: ZONE, ...options }));
  }
  return formats.get(key);
}

const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit', hourCycle: 'h23' };
const HOUR = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
const DAY = { weekday: 'long', day: '2-digit', month: '2-digit', year: 'numeric' };
const SHORT_DAY = { day: '2-digit', month: '2-digit' };

export const clockTime = (ms) => dateFormat('clock', CLOCK).format(ms);
export const hourMinute = (ms) => dateFormat('hour', HOUR).format(ms);
export const longDate = (ms) => dateFormat('day', DAY).format(ms);

/** The hour where it is the day of `now`, else the date too. */
export function moment(ms, now) {
  const day = dateFormat('short', SHORT_DAY);
  const hour = hourMinute(ms);
  return now !== null && day.format(ms) === day.format(now) ? hour : `${hour} ${day.format(ms)}`;
}

export function number(value, digits = 2) {
  return value.toLocaleString(WORDS[language].locale, { maximumFractionDigits: digits });
}

/** A measured value with its unit. Metres always show centimetres, so that levels compare at a glance. */
export function measured(value, unit) {
  const text = unit === 'm'
    ? value.toLocaleString(WORDS[language].locale, { minimumFractionDigits: 2, maximumFractionDigits: 2 })
    : number(value);
  const name = WORDS[language][`unit_${unit}`] ?? unit;
  return name ? `${text}\u00a0${name}` : text;
}

/** How long ago `from` was at `now`, both in ms; empty where it is not in the past. */
export function since(from, now) {
  if (now === null || from > now) return '';
  const minutes = Math.floor((now - from) / 60000);
  if (minutes < 1) return words('underMinute');
  if (minutes < 60) return words('minutes', { n: minutes });
  if (minutes < 2 * 1440) return words('hours', { h: Math.floor(minutes / 60), m: minutes % 60 });
  return words('days', { n: Math.floor(minutes / 1440) });
}
