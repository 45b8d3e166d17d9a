"""The encoding of output: the declared one, the unambiguous one, and never a guess over valid UTF-8."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.engine.text import KNOWN, decode, normalised, recognised

pytestmark = [pytest.mark.found("output"), pytest.mark.pure]

PRINTED = {
    "gb18030": [
        "错误：无法打开文件",
        "启动失败：端口已被占用\n请检查配置文件",
        "数据库连接失败",
        "用户名或密码错误",
        "nginx: [emerg] 第 3 步：正在启动服务…完成",
    ],
    "big5": ["錯誤：無法開啟檔案", "啟動失敗：連接埠已被佔用"],
    "cp932": ["エラー：ファイルを開けません", "サービスの起動に失敗しました", "設定ファイルが見つかりません。"],
    "euc_jp": ["エラー：ファイルを開けません", "サービスの起動に失敗しました"],
    "cp949": ["오류: 파일을 열 수 없습니다", "서비스를 시작하지 못했습니다"],
    "cp1252": ["Fehler: Datei konnte nicht geöffnet werden, ungültig", "échec du démarrage"],
}


@pytest.mark.parametrize(("codec", "text"), [(codec, text) for codec, texts in PRINTED.items() for text in texts])
def test_recognises_unambiguous_encoding(codec, text):
    assert recognised(text.encode(codec)) == codec
    assert decode(text.encode(codec)) == text
    mixed = "ok\nprêt\n".encode() + text.encode(codec)
    assert recognised(mixed) == codec, "lines of UTF-8 beside it say nothing"


DOUBTFUL = [
    b"caf\xe9\xe8\xf8",
    b"\xff\xfe\x00",
    "Ошибка".encode("cp1251"),
    "Ошибка файла".encode("koi8-r"),
    "žluťoučký kůň".encode("cp1250"),
    b"\xb4\xed",
    bytes(range(128, 256)),
    b"\xc1\xaa\xcd\xa8",
]


@pytest.mark.parametrize("data", DOUBTFUL)
def test_ambiguous_encoding_is_not_guessed(data):
    assert recognised(data) == ""
    assert "\ufffd" in decode(data)


@given(st.text(max_size=60))
def test_valid_utf8_is_decoded_as_utf8(text):
    assert recognised(text.encode("utf-8", "ignore")) == ""
    assert decode(text.encode("utf-8", "ignore")) == text.encode("utf-8", "ignore").decode()


@given(st.text("中文错误端口服务abc 文件：，。", max_size=20))
def test_cut_utf8_is_decoded_as_utf8(text):
    data = text.encode()
    for end in range(len(data)):
        assert recognised(data[:end]) == ""


@given(st.binary(max_size=300), st.sampled_from(["", *KNOWN]))
def test_decodes_any_bytes(data, encoding):
    assert isinstance(decode(data, encoding), str)
    assert decode(data, encoding).count("\n") == data.count(b"\n"), "lines stay lines in every encoding"


def test_declared_encoding_is_used_where_it_fits():
    assert decode("学".encode("gbk"), "gb18030") == "学", "which is valid UTF-8 too"
    assert decode("✔ über".encode(), "cp932") == "✔ über", "UTF-8 where the declared encoding does not fit"
    assert decode("Ошибка".encode("koi8-r"), "koi8-r") == "Ошибка"
    assert decode(b"caf\xe9", "cp1252") == "café"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("GBK", "gb18030"),
        ("latin-1", "cp1252"),
        ("Shift_JIS", "cp932"),
        ("", ""),
        ("utf8", "utf-8"),
        ("EUC-KR", "cp949"),
        ("windows-1251", "cp1251"),
        ("ISO-8859-15", "iso8859-15"),
        *((codec, codec) for codec in KNOWN),
    ],
)
def test_encoding_names_are_normalised(given, kept):
    assert normalised(given) == kept


@pytest.mark.parametrize(
    "name", ["utf-16", "iso2022_jp", "hz", "rot13", "base64", "no such", "x\0y", "utf-7", "idna", "é"]
)
def test_rejects_encoding_without_ascii_lines(name):
    with pytest.raises(ValueError, match="encoding_unknown"):
        normalised(name)
