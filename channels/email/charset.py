"""Bytes to text, whatever their sender called the charset; and transfer encodings, whatever stands between them."""

import binascii
import codecs
import re

# What senders write -> what they mean. A superset where one exists: a Windows programme that says ISO-8859-1 writes
# cp1252 (WHATWG Encoding Standard 4.2), one that says GB2312 writes GBK.
_MEANT = {
    "ansi": "cp1252",
    "ascii": "utf-8",
    "big5": "big5hkscs",
    "cp-850": "cp850",
    "default": "utf-8",
    "euc-kr": "cp949",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "cp1252",
    "iso-8859-8-e": "iso-8859-8",
    "iso-8859-8-i": "iso-8859-8",
    "iso8859-1": "cp1252",
    "ks_c_5601-1987": "cp949",
    "ksc5601": "cp949",
    "latin1": "cp1252",
    "macintosh": "mac-roman",
    "shift-jis": "cp932",
    "shift_jis": "cp932",
    "sjis": "cp932",
    "tis-620": "cp874",
    "unicode-1-1-utf-7": "utf-7",
    "unknown-8bit": "utf-8",
    "us-ascii": "utf-8",
    "windows-31j": "cp932",
    "windows-874": "cp874",
    "x-gbk": "gb18030",
    "x-mac-roman": "mac-roman",
    "x-sjis": "cp932",
    "x-unknown": "utf-8",
}
# Python calls these codecs text too; they are no charsets, and two of them take quadratic time.
_NO_CHARSETS = frozenset(
    {"idna", "mbcs", "oem", "palmos", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
)
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/="
_NOT_BASE64 = bytes(set(range(256)) - set(_BASE64))
_COMMENT = re.compile(r"\([^()]*\)")
_CTE_WORD = re.compile(r"[a-z0-9-]+")
_UU_BEGIN = re.compile(rb"(?:\A|(?<=[\r\n]))begin(?:-base64)? +[0-7]{3,4} +([^\r\n]+)(?:\r\n|\n|\r)")
_MAX_UU_FILES = 100
_UU_LINE = re.compile(rb"[^\r\n]*(?:\r\n|\n|\r|\Z)")


def decode_text(data: bytes, charset: str | None) -> str:
    """Return `data` as text: as declared, else as UTF-8, else with what can't be read as U+FFFD; never raises."""
    codec = _codec(charset)
    for name in dict.fromkeys((codec or "utf-8", "utf-8")):
        try:
            return data.decode(name)
        except UnicodeError:
            continue
    if codec not in {None, "utf-8"}:
        return data.decode(codec or "utf-8", "replace")
    # Undeclared or declared wrongly. 8-bit text that isn't UTF-8 is most often Western; but one bad byte in a text
    # that otherwise reads as UTF-8 makes it no other charset.
    text = data.decode("utf-8", "replace")
    bad = text.count("\ufffd")
    well_read = sum(1 for character in text if character > "\x7f") - bad
    return text if well_read > bad else data.decode("cp1252", "replace")


def _codec(charset: str | None) -> str | None:
    """Return the codec that is meant, None where nothing usable was declared."""
    if not charset:
        return None
    name = charset.strip().strip("\"'").lower()
    name = _MEANT.get(name, name)
    try:
        found = codecs.lookup(name).name
        b"a".decode(name, "replace")
    except (LookupError, ValueError):  # unknown; not a text encoding; U+0000 in the name
        return None
    return None if found.replace("_", "-") in _NO_CHARSETS else found


def decode_transfer(data: bytes, encoding: str) -> bytes:
    """Undo a Content-Transfer-Encoding; one that is unknown is taken for none (RFC 2045 6.4 asks for a file then)."""
    word = _CTE_WORD.search(_COMMENT.sub("", encoding.lower()))
    match word.group() if word else "":
        case "base64":
            return decode_base64(data)
        case "quoted-printable":
            return binascii.a2b_qp(data)
        case "x-uuencode" | "uuencode" | "x-uue":
            files, _ = split_uuencoded(data)
            return files[0][1] if files else data
        case _:
            return data


def decode_base64(data: bytes) -> bytes:
    """Decode what is base64 in `data`, skipping noise and going on behind padding in the middle."""
    head, padding, tail = data.partition(b"=")
    decoded = _decode_run(head.translate(None, _NOT_BASE64))
    if not padding or tail.translate(None, _BASE64 + b" \t\r\n"):
        return decoded  # what follows the padding and is no base64 is a mailing list's footer
    runs = tail.translate(None, _NOT_BASE64).split(b"=")
    return decoded + b"".join(_decode_run(run) for run in runs if run)


def _decode_run(run: bytes) -> bytes:
    if len(run) % 4 == 1:
        run = run[:-1]
    return binascii.a2b_base64(run + b"=" * (-len(run) % 4))


def split_uuencoded(data: bytes) -> tuple[list[tuple[str, bytes]], bytes]:
    """Return the files that stand uuencoded in `data` (name, content) and what is left without them."""
    files: list[tuple[str, bytes]] = []
    rest: list[bytes] = []
    position = 0
    while len(files) < _MAX_UU_FILES and (match := _UU_BEGIN.search(data, position)):
        content, end = _read_uuencoded(data, match.end())
        if end is None:
            break
        rest.append(data[position : match.start()])
        files.append((decode_text(match[1].strip(), None), content))
        position = end
    return files, b"".join(rest) + data[position:]


def _read_uuencoded(data: bytes, position: int) -> tuple[bytes, int | None]:
    out = bytearray()
    while position < len(data) and (match := _UU_LINE.match(data, position)):
        line, position = match.group().strip(b"\r\n"), match.end()
        if line in {b"end", b"===="}:
            return bytes(out), position
        if line in {b"", b"`", b" "}:
            continue
        try:
            out += binascii.a2b_uu(line)
        except binascii.Error:
            # Old encoders pad a line by too much: trust the length that its first character states.
            stated = (((line[0] - 32) & 63) * 4 + 5) // 3
            try:
                out += binascii.a2b_uu(line[:stated])
            except binascii.Error:
                return bytes(out), None
    return bytes(out), None
