import pytest

from benchmarks.websocket import FrameReader, build_frame

TEXT = 0x1


def from_server(payload: bytes) -> bytes:
    """Return a frame as a server writes it: without mask."""
    frame = build_frame(TEXT, payload)
    head = frame[: len(frame) - len(payload) - 4]
    return bytes([head[0], head[1] & 0x7F]) + head[2:] + payload


@pytest.mark.parametrize("step", [1, 2, 3, 7, 200_000])
def test_frames_are_read_however_the_bytes_arrive(step: int) -> None:
    payloads = [b"", b"{}", b"x" * 125, b"y" * 126, b"z" * 70_000]
    data = b"".join(map(from_server, payloads))
    reader = FrameReader()
    frames = [frame for start in range(0, len(data), step) for frame in reader.feed(data[start : start + step])]
    assert frames == [(TEXT, payload) for payload in payloads]
