"""The communes of the scenario, each with one point well inside.

Codes, names and points are from the Python package vietnamadminunits 1.0.4 (MIT licence, Hieu Tran), present
units of province 92.
"""

from __future__ import annotations

from typing import NamedTuple


class Commune(NamedTuple):
    """A commune: official code, name in the two languages, WGS 84 degrees of its point."""

    code: str
    vi: str
    en: str
    lon: float
    lat: float


def _ward(code: str, name: str, lon: float, lat: float) -> Commune:
    return Commune(code, f"phường {name}", f"{name} ward", lon, lat)


def _commune(code: str, name: str, lon: float, lat: float) -> Commune:
    return Commune(code, f"xã {name}", f"{name} commune", lon, lat)


COMMUNES: dict[str, Commune] = {
    "ninh-kieu": _ward("31135", "Ninh Kiều", 105.777, 10.0331),
    "cai-khe": _ward("31120", "Cái Khế", 105.781, 10.0517),
    "tan-an": _ward("31147", "Tân An", 105.76, 10.0258),
    "an-binh": _ward("31150", "An Bình", 105.7, 10.0009),
    "binh-thuy": _ward("31168", "Bình Thủy", 105.752, 10.0712),
    "long-tuyen": _ward("31183", "Long Tuyền", 105.725, 10.0432),
    "cai-rang": _ward("31186", "Cái Răng", 105.761, 9.98744),
    "hung-phu": _ward("31201", "Hưng Phú", 105.803, 9.99405),
    "o-mon": _ward("31153", "Ô Môn", 105.625, 10.1245),
    "phuoc-thoi": _ward("31162", "Phước Thới", 105.686, 10.1078),
    "thot-not": _ward("31207", "Thốt Nốt", 105.504, 10.2917),
    "trung-nhut": _ward("31217", "Trung Nhứt", 105.51, 10.2336),
    "vinh-thanh": _commune("31232", "Vĩnh Thạnh", 105.43, 10.2179),
    "co-do": _commune("31261", "Cờ Đỏ", 105.416, 10.0678),
    "thoi-lai": _commune("31258", "Thới Lai", 105.551, 10.0411),
    "phong-dien": _commune("31299", "Phong Điền", 105.669, 10.0279),
    "vi-thanh": _ward("31321", "Vị Thanh", 105.47, 9.76382),
    "nga-bay": _ward("31340", "Ngã Bảy", 105.82, 9.80178),
    "phung-hiep": _commune("31420", "Phụng Hiệp", 105.684, 9.80551),
    "chau-thanh": _commune("31366", "Châu Thành", 105.841, 9.96217),
    "vinh-tuong": _commune("31459", "Vĩnh Tường", 105.577, 9.81249),
    "soc-trang": _ward("31507", "Sóc Trăng", 105.991, 9.62716),
    "phu-loi": _ward("31510", "Phú Lợi", 105.985, 9.59174),
    "my-xuyen": _ward("31684", "Mỹ Xuyên", 105.918, 9.54742),
    "dai-ngai": _commune("31645", "Đại Ngãi", 106.08, 9.70034),
}
