"""Text from outside, made safe to keep."""


def storable_text(text: str) -> str:
    """Return `text` as every store of ours takes it: without U+0000, with U+FFFD for a surrogate that stands alone.

    PostgreSQL's text and jsonb refuse U+0000 (PostgreSQL 18, 8.14 JSON Types), and no encoder takes half a pair.
    """
    if text.isascii():
        return text.replace("\x00", "")
    return text.replace("\x00", "").encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
