// The words of the map: layers, filters, details of what is chosen.

import { addWords } from './texts.js';

addWords({
  vi: {
    layer_traffic: 'Giao thông', layer_flood: 'Mực nước', layer_camera: 'Camera', layer_alerts: 'Cảnh báo',
    layer_incidents: 'Sự cố', layer_blind: 'Vùng không quan sát được',
    blind: 'Không có trạm nào gửi dữ liệu', doubtfulDot: 'Số đo đáng ngờ', silentDot: 'Trạm im lặng',
    incidentDot: 'Sự cố',
    filters: 'Lọc bản đồ', filterSeverities: 'Mức cảnh báo', filterCommune: 'Phường, xã', everyCommune: 'Tất cả',
    find: 'Tìm trạm theo mã', found: '{n} trạm', filtered: 'BẢN ĐỒ ĐANG LỌC', filterReset: 'Bỏ lọc',
    details: 'Chi tiết', closeDetails: 'Đóng',
    link: 'Liên kết', gone: 'Không còn hiển thị: {what}',
    state: 'Trạng thái', normal: 'bình thường', silentFor: 'im lặng', neverHeard: 'chưa từng có dữ liệu',
    lastHeard: 'Số đo cuối', agoOf: '{time} ({age} trước)', justNow: 'vừa xong', interval: 'Chu kỳ', seconds: '{n} s',
    kind: 'Loại', owner: 'Đơn vị quản lý', position: 'Vị trí', event: 'Mã sự kiện', source: 'Trạm đo',
    commune: 'Phường, xã', watched: '{live}/{all} trạm đang gửi dữ liệu',
    unwatched: 'Không quan sát được: không trạm nào trong số {all} trạm gửi dữ liệu',
    noSensors: 'Không quan sát được: không có trạm nào',
    communeAlerts: 'Cảnh báo đang mở', noAlerts: 'Không có cảnh báo đang mở',
    began: 'Bắt đầu', changed: 'Thay đổi cuối', valueNow: 'Giá trị', peak: 'Cao nhất', bound: 'Ngưỡng', rule: 'Quy tắc',
    ruleVersion: '{rule}, phiên bản {version}', citation: 'Căn cứ', boundarySet: 'Ranh giới đã dùng',
    evidence: 'Bằng chứng ({n})', noEvidence: 'Không có số đo kèm theo', member: 'Cảnh báo thuộc sự cố', highWater: 'Đỉnh',
    evidenceOf: 'Sự kiện theo luồng', incident: 'Sự cố', quietIncident: 'đang lắng', openIncident: 'đang diễn ra',
    m_speed_kmh: 'Tốc độ', m_flow_vph: 'Lưu lượng', m_occupancy: 'Độ chiếm dụng', m_level_m: 'Mực nước',
    m_road_depth_m: 'Nước trên đường', m_rain_mm: 'Mưa', m_salinity_permille: 'Độ mặn', m_count: 'Số lượng',
    m_confidence: 'Độ tin cậy', mapHelp: 'Bản đồ. Phím [ và ]: điểm bất thường trước, sau. Enter: chi tiết. Esc: toàn cảnh.',
  },
  en: {
    layer_traffic: 'Traffic', layer_flood: 'Water', layer_camera: 'Cameras', layer_alerts: 'Alerts',
    layer_incidents: 'Incidents', layer_blind: 'Blind spots',
    blind: 'No sensor is heard', doubtfulDot: 'Doubtful reading', silentDot: 'Silent sensor',
    incidentDot: 'Incident',
    filters: 'Filter the map', filterSeverities: 'Severity', filterCommune: 'Commune', everyCommune: 'All',
    find: 'Find a sensor by id', found: '{n} sensors', filtered: 'THE MAP IS FILTERED', filterReset: 'Show all',
    details: 'Details', closeDetails: 'Close',
    link: 'Link', gone: 'Not shown any more: {what}',
    state: 'State', normal: 'normal', silentFor: 'silent', neverHeard: 'never heard',
    lastHeard: 'Last reading', agoOf: '{time} ({age} ago)', justNow: 'just now', interval: 'Interval', seconds: '{n} s',
    kind: 'Kind', owner: 'Owner', position: 'Position', event: 'Event', source: 'Sensor',
    commune: 'Commune', watched: '{live} of {all} sensors are heard',
    unwatched: 'Unknown: none of its {all} sensors is heard',
    noSensors: 'Unknown: it has no sensor',
    communeAlerts: 'Open alerts', noAlerts: 'No open alert',
    began: 'Began', changed: 'Last change', valueNow: 'Value', peak: 'Peak', bound: 'Threshold', rule: 'Rule',
    ruleVersion: '{rule}, version {version}', citation: 'Basis', boundarySet: 'Boundaries used',
    evidence: 'Evidence ({n})', noEvidence: 'No reading with it', member: 'Alerts of the incident', highWater: 'High water',
    evidenceOf: 'Events by stream', incident: 'Incident', quietIncident: 'quiet', openIncident: 'going on',
    m_speed_kmh: 'Speed', m_flow_vph: 'Flow', m_occupancy: 'Occupancy', m_level_m: 'Water level',
    m_road_depth_m: 'Water on the road', m_rain_mm: 'Rain', m_salinity_permille: 'Salinity', m_count: 'Count',
    m_confidence: 'Confidence', mapHelp: 'Map. Keys [ and ]: previous and next abnormal point. Enter: details. Esc: whole city.',
  },
});

const UNITS = { speed_kmh: 'km/h', flow_vph: 'veh/h', level_m: 'm', road_depth_m: 'm', rain_mm: 'mm', salinity_permille: '‰' };

/** The unit of a measure; empty where it has none. */
export const unitOf = (measure) => UNITS[measure] ?? '';
