// The words of the wall in its languages, and how it writes numbers and times.

import { plain } from './plain.js';

const WORDS = {
  vi: {
    simulated: 'MÔ PHỎNG / SIMULATED',
    approximate: 'Ranh giới gần đúng – không phải bản đồ chính thức',
    boundaries: 'Ranh giới',
    home: 'Toàn cảnh',
    licences: 'Giấy phép',
    calm: 'Không có cảnh báo',
    noIncident: 'Không có sự cố',
    waiting: 'CHƯA NHẬN', seen: 'đã nhận',
    inCommunes: '{n} phường, xã', highWaters: '{n} đợt nước lên', sinceThen: 'từ {from}',
    below: '↓ còn {n} cảnh báo bên dưới',
    rate: 'Cảnh báo mới: {ten} trong 10 phút · {hour} trong 1 giờ', alarmFlood: 'DỒN DẬP',
    alerts: 'Danh sách cảnh báo', map: 'Bản đồ', list: 'Danh sách', counters: 'Số cảnh báo theo mức',
    inset: 'Vùng dày đặc: {names}',
    sound_off: 'Tắt tiếng', sound_on: 'Có tiếng', sound_blocked: 'Bấm để có tiếng',
    screen: 'Màn hình', screenDistance: 'Khoảng cách nhìn (m), bỏ trống nếu ở bàn làm việc',
    screenInches: 'Đường chéo màn hình (inch)', screenTheme: 'Giao diện',
    theme_dark: 'Tối', theme_light: 'Sáng', theme_auto: 'Theo hệ thống', save: 'Lưu',
    notSaved: 'Trình duyệt không cho lưu: thiết lập chỉ có hiệu lực đến khi tải lại trang',
    tooFar: 'Màn hình quá nhỏ so với khoảng cách này: chữ nhỏ hơn mức cần thiết',
    noView: 'Không có khung nhìn “{view}”, đang hiển thị toàn bộ',
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
    unit_vehicles: 'xe', unit_vph: 'xe/giờ', unit_alerts: 'cảnh báo', unit_reports: 'phản ánh', unit_streams: 'luồng',
    configurationError: 'CẤU HÌNH MỚI CÓ LỖI; cấu hình cũ vẫn có hiệu lực – {where}: {what}',
    readOnly: 'Chỉ xem: chưa có tệp trực ban',
    signIn: 'Đăng nhập', signOut: 'Đăng xuất', id: 'Tên đăng nhập', password: 'Mật khẩu', cancel: 'Hủy', send: 'Gửi',
    viewer: 'người xem', operator: 'trực ban', supervisor: 'trưởng ca',
    acknowledge: 'Xác nhận', assign: 'Nhận việc', shelve: 'Gác 30 phút', unshelve: 'Bỏ gác', comment: 'Ghi chú',
    close: 'Đóng', release: 'Phát hành', open: 'Mở cảnh báo',
    sayComment: 'Ghi chú', sayClose: 'Lý do đóng',
    acknowledgedBy: 'Đã xác nhận: {by} {time}', assignedTo: 'Phụ trách: {to}', shelvedUntil: 'Gác đến {time}',
    overdue: 'QUÁ HẠN', comments: '{n} ghi chú', sameIncident: 'Sự cố: {n} cảnh báo', ofIncident: '{n} cảnh báo',
    together: 'Xác nhận cả {n}', togetherShort: '✓ cả {n}', allOf: '{what}: {done} xong, {refused} bị từ chối, {waiting} đang chờ',
    awaiting: 'Chờ phát hành: {to}',
    possible: 'Có thể', likely: 'Nhiều khả năng',
    doubted: 'Số đo đáng ngờ: {why}',
    doubt_range: 'ngoài khoảng hợp lý', doubt_spike: 'tăng giảm đột ngột', doubt_stuck: 'không đổi quá lâu',
    doubt_datum: 'khác mốc cao độ',
    suppressed_maintenance: 'Ẩn do bảo trì {what}', suppressed_inhibited: 'Ẩn do cảnh báo khác',
    suppressed_limit: 'Ẩn do quá nhiều cảnh báo cùng loại',
    aside: '{suppressed} bị ẩn · {shelved} được gác', asideShow: 'hiện', asideHide: 'thu gọn',
    pending: 'Đang chờ kết quả: {action}', pendingLate: 'Chưa có kết quả sau {n} s: {action}',
    done: 'Đã xong: {action} – {alert}', refused: 'Bị từ chối: {action} – {alert}: {reason}',
    failed: 'Không gửi được: {action} – {alert}: {reason}',
    reason_unknown_operator: 'cấu hình đang dùng chưa có trực ban này',
    reason_not_allowed: 'vai trò không được phép',
    reason_unknown_alert: 'không còn cảnh báo này',
    reason_stale: 'cảnh báo đã thay đổi, hãy xem lại rồi thử lại',
    reason_not_open: 'cảnh báo không còn mở',
    reason_already_so: 'đã như vậy rồi',
    reason_not_shelved: 'cảnh báo không được gác',
    reason_shelved: 'cảnh báo đang được gác',
    reason_shelved_too_long: 'vai trò chỉ được gác ngắn hơn',
    reason_not_awaiting: 'không có gì chờ phát hành',
    reason_unknown_assignee: 'không có người này trong cấu hình',
    reason_until_is_past: 'thời điểm đã qua',
    reason_nothing_said: 'chưa nhập nội dung',
    reason_nothing_opened: 'thiếu nội dung cảnh báo',
    reason_not_signed_in: 'phiên đã hết hạn, hãy đăng nhập lại',
    reason_not_sent: 'không kết nối được Kafka, lệnh chưa được ghi',
    reason_unconfirmed: 'Kafka chưa xác nhận, lệnh vẫn có thể được thực hiện',
    reason_no_time: 'chưa biết thời gian của dữ liệu',
    reason_no_map: 'chưa có bản đồ',
    reason_unreachable: 'máy chủ không trả lời',
    reason_not_understood: 'yêu cầu không hợp lệ',
    reason_not_json: 'yêu cầu không phải JSON',
    reason_cross_origin: 'yêu cầu không đến từ trang này',
    reason_wrong_password: 'Sai tên đăng nhập hoặc mật khẩu',
    reason_too_long: 'nội dung quá dài', reason_too_slow: 'đường truyền quá chậm',
    reason_too_many_attempts: 'Sai quá nhiều lần; thử lại sau {seconds} s',
    reason_sign_in_off: 'Chưa có tệp trực ban',
  },
  en: {
    simulated: 'SIMULATED / MÔ PHỎNG',
    approximate: 'Approximate boundaries – not the official map',
    boundaries: 'Boundaries',
    home: 'Whole city',
    licences: 'Licences',
    calm: 'No open alert',
    noIncident: 'No incident',
    waiting: 'UNACKED', seen: 'acknowledged',
    inCommunes: '{n} communes', highWaters: '{n} high waters', sinceThen: 'since {from}',
    below: '↓ {n} more alerts below',
    rate: 'New alerts: {ten} in 10 minutes · {hour} in an hour', alarmFlood: 'FLOOD',
    alerts: 'List of alerts', map: 'Map', list: 'List', counters: 'Alerts by severity',
    inset: 'Dense area: {names}',
    sound_off: 'Sound off', sound_on: 'Sound on', sound_blocked: 'Click for sound',
    screen: 'Screen', screenDistance: 'Viewing distance (m), empty at a desk',
    screenInches: 'Diagonal of the panel (inches)', screenTheme: 'Theme',
    theme_dark: 'Dark', theme_light: 'Light', theme_auto: 'As the system', save: 'Save',
    notSaved: 'The browser keeps nothing: these settings hold until the page is loaded again',
    tooFar: 'The panel is too small for this distance: letters are smaller than they should be',
    noView: 'There is no view “{view}”, showing everything',
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
    unit_vehicles: 'vehicles', unit_vph: 'vehicles/h', unit_alerts: 'alerts', unit_reports: 'reports', unit_streams: 'streams',
    configurationError: 'THE NEW CONFIGURATION HAS AN ERROR; the old one stays in force – {where}: {what}',
    readOnly: 'View only: no file of operators',
    signIn: 'Sign in', signOut: 'Sign out', id: 'Operator', password: 'Password', cancel: 'Cancel', send: 'Send',
    viewer: 'viewer', operator: 'operator', supervisor: 'supervisor',
    acknowledge: 'Acknowledge', assign: 'Assign to me', shelve: 'Shelve 30 min', unshelve: 'Unshelve',
    comment: 'Comment', close: 'Close', release: 'Release', open: 'Open an alert',
    sayComment: 'Comment', sayClose: 'Reason for closing',
    acknowledgedBy: 'Acknowledged: {by} {time}', assignedTo: 'Assigned: {to}', shelvedUntil: 'Shelved until {time}',
    overdue: 'OVERDUE', comments: '{n} comments', sameIncident: 'Incident: {n} alerts', ofIncident: '{n} alerts',
    together: 'Acknowledge all {n}', togetherShort: '✓ all {n}', allOf: '{what}: {done} done, {refused} refused, {waiting} pending',
    awaiting: 'Awaits release: {to}',
    possible: 'Possible', likely: 'Likely',
    doubted: 'Doubtful reading: {why}',
    doubt_range: 'beyond what is plausible', doubt_spike: 'a sudden jump', doubt_stuck: 'unchanged for too long',
    doubt_datum: 'another datum',
    suppressed_maintenance: 'Suppressed: maintenance {what}', suppressed_inhibited: 'Suppressed by another alert',
    suppressed_limit: 'Suppressed: too many of one kind',
    aside: '{suppressed} suppressed · {shelved} shelved', asideShow: 'show', asideHide: 'hide',
    pending: 'Awaiting the outcome: {action}', pendingLate: 'No outcome after {n} s: {action}',
    done: 'Done: {action} – {alert}', refused: 'Refused: {action} – {alert}: {reason}',
    failed: 'Not sent: {action} – {alert}: {reason}',
    reason_unknown_operator: 'the configuration in force does not name this operator yet',
    reason_not_allowed: 'your role may not do this',
    reason_unknown_alert: 'there is no such alert any more',
    reason_stale: 'the alert has changed meanwhile, look again and repeat',
    reason_not_open: 'the alert is not open any more',
    reason_already_so: 'it is so already',
    reason_not_shelved: 'the alert is not shelved',
    reason_shelved: 'the alert is shelved',
    reason_shelved_too_long: 'your role may not shelve for so long',
    reason_not_awaiting: 'nothing awaits release',
    reason_unknown_assignee: 'the configuration names nobody of that id',
    reason_until_is_past: 'that time has passed',
    reason_nothing_said: 'no text was given',
    reason_nothing_opened: 'nothing was said about the alert',
    reason_not_signed_in: 'the session has ended, sign in again',
    reason_not_sent: 'Kafka cannot be reached, the command is not in the log',
    reason_unconfirmed: 'Kafka has not confirmed it, it may still be carried out',
    reason_no_time: 'the time of the data is not known yet',
    reason_no_map: 'there is no map yet',
    reason_unreachable: 'the server does not answer',
    reason_not_understood: 'the request is not valid',
    reason_not_json: 'the request is not JSON',
    reason_cross_origin: 'the request does not come from this page',
    reason_wrong_password: 'Wrong operator or password',
    reason_too_long: 'the request is too long', reason_too_slow: 'the connection is too slow',
    reason_too_many_attempts: 'Wrong too often; try again in {seconds} s',
    reason_sign_in_off: 'There is no file of operators',
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

/** More words, by language, from a module that shows something of its own. */
export function addWords(more) {
  for (const [its, entries] of Object.entries(more)) Object.assign(WORDS[its], entries);
}

/** The words for a key, with {name} filled in. A key without words is itself. */
export function words(key, values = {}) {
  const text = Object.hasOwn(WORDS[language], key) ? WORDS[language][key] : plain(key);
  return text.replace(/\{(\w+)\}/g, (_, name) => plain(values[name] ?? ''));
}

/** Why something was refused, by the key that the server or correlate gives. */
export function reasonWords(reason, values = {}) {
  const key = `reason_${String(reason).replaceAll('-', '_')}`;
  return Object.hasOwn(WORDS[language], key) ? words(key, values) : plain(reason);
}

/** A text that comes in each language, as rules and inventories have them. */
export const inLanguage = (text) => plain((text && (text[language] || text.vi || Object.values(text)[0])) || '');

/** Put fixed words into every element that names its key, as its text or as what it is called. */
export function fillWords(root = document) {
  document.documentElement.lang = language;
  for (const element of root.querySelectorAll('[data-text]')) element.textContent = words(element.dataset.text);
  for (const element of root.querySelectorAll('[data-label]')) element.ariaLabel = words(element.dataset.label);
}

// To make a format takes a browser longer than all else that it does in a second.
const formats = new Map();
function formatOf(name, make) {
  const key = `${language}/${name}`;
  if (!formats.has(key)) formats.set(key, make(WORDS[language].locale));
  return formats.get(key);
}

const dateFormat = (name, options) => formatOf(name,
  (locale) => new Intl.DateTimeFormat(locale, { timeZone: ZONE, ...options }));
const numberFormat = (least, most) => formatOf(`${least}-${most}`, (locale) => new Intl.NumberFormat(locale,
  { minimumFractionDigits: least, maximumFractionDigits: most }));

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
  return numberFormat(0, digits).format(value);
}

/** A measured value with its unit. Metres always show centimetres, so that levels compare at a glance. */
export function measured(value, unit) {
  const text = unit === 'm'
    ? numberFormat(2, 2).format(value)
    : number(value);
  const name = WORDS[language][`unit_${unit}`] ?? unit;
  return name ? `${text}\u00a0${name}` : text;
}

const UNITS = { speed_kmh: 'km/h', flow_vph: 'vph', level_m: 'm', road_depth_m: 'm', rain_mm: 'mm', salinity_permille: '‰' };

/** The unit of a measure; empty where it has none. */
export const unitOf = (measure) => UNITS[measure] ?? '';

// What is counted, by the measure of an alert without a unit.
const COUNTED = { events: 'reports', inputs: 'streams' };

/** A value of an alert: a length of time in words, a count with what is counted, a share of a commune as a percentage. */
export function amount({ unit, measure }, value) {
  if (unit === 's') return value < 60 ? measured(value, unit) : span(Math.floor(value / 60));
  if (unit || measure in COUNTED) return measured(value, unit || COUNTED[measure]);
  return unitOf(measure) ? `${number(value * 100, 0)}\u00a0%` : measured(value, unit);
}

/** How long ago `from` was at `now`, both in ms; empty where it is not in the past. */
export function since(from, now) {
  if (now === null || from > now) return '';
  return span(Math.floor((now - from) / 60000));
}

function span(minutes) {
  if (minutes < 1) return words('underMinute');
  if (minutes < 60) return words('minutes', { n: minutes });
  if (minutes < 2 * 1440) return words('hours', { h: Math.floor(minutes / 60), m: minutes % 60 });
  return words('days', { n: Math.floor(minutes / 1440) });
}
