"""HTML from strangers: cleaned so that it can be shown, and turned into text."""

import re
from collections.abc import Mapping
from html import escape
from urllib.parse import unquote

import nh3
from selectolax.lexbor import LexborHTMLParser, LexborNode

# A parser of HTML takes quadratic time for deep nesting (100,000 open tags: 15 s, measured 2026-11), so the work is
# estimated first: the sum over all tags of what stands open there.
_MAX_WORK = 5_000_000
_ALWAYS_EASY = 2_000  # characters
_MAX_LENGTH = 2_000_000  # characters
# Nothing in here is a tag for a parser that agrees with us; one that doesn't (style inside of svg) opens it all.
_RAW = re.compile(r"<!--(?:-?>|.*?(?:--!?>|\Z))", re.DOTALL)
_RAW_ELEMENTS = frozenset({"iframe", "noembed", "noframes", "noscript", "script", "style", "textarea", "title", "xmp"})
# Exactly as a browser reads a tag (HTML Standard, 13.2.5.8 and on), so that no quote can hide what follows it.
_ATTRIBUTE = re.compile(
    r"""[\s/]*+[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:"[^"]*+"?|'[^']*+'?|[^\s>]*+))?+""",
)
_TAG = re.compile(rf"<(/?)([a-zA-Z][^\s/>]*+)((?:{_ATTRIBUTE.pattern})*+)|<!--")
_OPENING = re.compile(r"<[a-zA-Z]")
_HIDDEN_TEXT = re.compile(r"<(script|style|title)\b.*?(?:</\1\b|\Z)|<!--.*?(?:-->|\Z)", re.DOTALL | re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]*>")
_VOID = frozenset(
    {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
)
# What stands open of these is opened again in each block that follows (HTML Standard, 13.2.4.3).
_FORMATTING = frozenset(
    {"a", "b", "big", "code", "em", "font", "i", "nobr", "s", "small", "strike", "strong", "tt", "u"}
)
_IMPLIED_END = frozenset({"p", "li", "dd", "dt", "td", "th", "tr", "option"})

_TAGS = frozenset(
    "a abbr acronym address article aside b bdi bdo big blockquote br caption center cite code col colgroup dd "
    "del dfn div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main mark "
    "nav ol p pre q s samp section small span strike strong sub summary details sup table tbody td tfoot th thead "
    "time tr tt u ul var wbr".split()
)
_DROPPED_WITH_CONTENT = frozenset(
    {"head", "iframe", "math", "noembed", "noframes", "object", "script", "select", "style", "svg", "template"}
    | {"textarea", "title"}
)
_CELL = {"align", "valign", "bgcolor", "width", "height", "colspan", "rowspan"}
_ATTRIBUTES = {
    "*": {"dir", "lang", "style", "title"},
    "a": {"href"},
    "blockquote": {"type"},
    "font": {"color", "face", "size"},
    "img": {"src", "data-src", "alt", "width", "height"},
    "col": {"span", "width"},
    "ol": {"start", "type"},
    "table": {"align", "bgcolor", "border", "cellpadding", "cellspacing", "width"},
    "td": _CELL,
    "th": _CELL,
    "div": {"align"},
    "p": {"align"},
}
_STYLES = frozenset(
    "background-color border border-bottom border-collapse border-color border-left border-radius border-right "
    "border-spacing border-style border-top border-width color direction display font-family font-size font-style "
    "font-weight height letter-spacing line-height margin margin-bottom margin-left margin-right margin-top max-width "
    "padding padding-bottom padding-left padding-right padding-top text-align text-decoration text-indent "
    "text-transform unicode-bidi vertical-align white-space width word-break".split()
)
_INLINE_IMAGE = re.compile(r"cid:|data:image/(?:png|gif|jpe?g|webp);base64,", re.IGNORECASE)
_REMOTE = re.compile(r"(?:https?:)?//", re.IGNORECASE)
# A style could load something, or hide a load behind an escape.
_LOADING_STYLE = re.compile(r"url|image|\\|/\*|@|expression", re.IGNORECASE)

_BLOCKS = frozenset(
    "address article aside blockquote caption center dd details div dl dt fieldset figcaption figure footer form h1 h2 "
    "h3 h4 h5 h6 header hr li main nav ol p pre section table tbody tfoot thead tr ul".split()
)
_HIDDEN = ("head", "script", "style", "template", "title", "noscript")
_BLANKS = re.compile(r"[ \t\r\n\f\xa0]+")
_MANY_LINES = re.compile(r"\n{3,}")


def _filter_attribute(tag: str, name: str, value: str) -> str | None:
    if name == "src":
        return value if _INLINE_IMAGE.match(value) else None
    if name == "data-src":
        return value if _REMOTE.match(value) else None
    if name == "style":
        return None if _LOADING_STYLE.search(value) else value
    if name == "href":
        return None if value.lower().lstrip().startswith(("data:", "cid:")) else value
    return value


_CLEANER = nh3.Cleaner(
    tags=_TAGS,
    clean_content_tags=_DROPPED_WITH_CONTENT,
    attributes=_ATTRIBUTES,
    attribute_filter=_filter_attribute,
    set_tag_attribute_values={"a": {"target": "_blank"}},
    filter_style_properties=_STYLES,
    url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
    url_relative="deny",
    link_rel="noopener nofollow",
)


def is_too_complex(html: str) -> bool:
    """True where cleaning it would keep a processor busy for seconds."""
    if len(html) < _ALWAYS_EASY or len(html) > _MAX_LENGTH:
        return len(html) > _MAX_LENGTH
    open_tags: dict[str, int] = {}
    depth = work = position = 0
    while (match := _TAG.search(html, position)) and work <= _MAX_WORK:
        name = (match[2] or "").lower()
        position = match.end()
        work += depth + _attribute_work(match[3] or "")
        if not name or (name in _RAW_ELEMENTS and not match[1]):
            end = _raw_end(html, match, name)
            hidden = len(_OPENING.findall(html, position, end))
            work += hidden * (depth + hidden)
            depth += hidden
            position = end
        elif name in _VOID or name in _IMPLIED_END:
            continue
        elif not match[1]:
            open_tags[name] = open_tags.get(name, 0) + 1
            depth += _weight(name)
        elif open_tags.get(name):
            open_tags[name] -= 1
            depth -= _weight(name)
    return work > _MAX_WORK


def _weight(name: str) -> int:
    return 10 if name in _FORMATTING else 1


def _attribute_work(attributes: str) -> int:
    """A parser compares each attribute of a tag with those before it."""
    if len(attributes) < 1000:
        return 0
    count = len(_ATTRIBUTE.findall(attributes))
    return count * count


def _raw_end(html: str, match: re.Match[str], name: str) -> int:
    if not name:
        comment = _RAW.match(html, match.start())
        return comment.end() if comment else match.end()
    end = re.compile(f"</{name}", re.IGNORECASE).search(html, match.end())
    return end.start() if end else len(html)


def clean_html(html: str) -> str:
    """Return a fragment that may be shown beside our own: no script, no form, no style that reaches out.

    Remote images carry their address in `data-src`, so that nothing is loaded until somebody asks for it; images of
    the mail itself (`cid:`) and inline data stay. Links open elsewhere and tell nothing of us.
    """
    if "<img" in html.lower():
        tree = LexborHTMLParser(html)
        for image in tree.css("img"):
            attributes = image.attrs
            if "src" in attributes and not _INLINE_IMAGE.match(source := (attributes["src"] or "").strip()):
                attributes["data-src"] = source
                del attributes["src"]
        html = tree.html or ""
    return _CLEANER.clean(html).strip()


def with_images(fragment: str, inline: Mapping[str, str], *, is_remote_shown: bool) -> str:
    """Return a cleaned fragment with its images: the mail's own (`inline`: content id to URL), remote ones if asked."""
    tree = LexborHTMLParser(fragment)
    for image in tree.css("img"):
        attributes = image.attrs
        source = attributes.get("src") or ""
        if source[:4].lower() == "cid:":
            found = inline.get(unquote(source[4:]).strip("<>"))
            if found is None:
                del attributes["src"]
            else:
                attributes["src"] = found
        remote = attributes.get("data-src")
        if is_remote_shown and remote is not None:
            attributes["src"] = f"https:{remote}" if remote.startswith("//") else remote
    body = tree.body
    return body.inner_html or "" if body is not None else ""


def html_to_text(html: str) -> str:
    """Return what a reader sees: blocks on lines of their own, cells apart, no scripts and styles."""
    if is_too_complex(html):
        return _tidy(_ANY_TAG.sub(" ", _HIDDEN_TEXT.sub(" ", html[:_MAX_LENGTH])))
    tree = LexborHTMLParser(html)
    tree.strip_tags(list(_HIDDEN))
    root = tree.body or tree.root
    if root is None:
        return ""
    out: list[str] = []
    for node in root.traverse(include_text=True):
        tag = node.tag or ""
        if tag in _BLOCKS or _is_behind_block(node):
            out.append("\n\n" if tag == "p" else "\n")
        if tag == "-text":
            out.append(_text_of(node))
        elif tag == "br":
            out.append("\n")
        elif tag == "li":
            out.append("- ")
        elif tag in {"td", "th"}:
            out.append(" ")
    return _tidy("".join(out))


def _is_behind_block(node: LexborNode) -> bool:
    before = node.prev
    return before is not None and before.tag in _BLOCKS


def _text_of(node: LexborNode) -> str:
    text = node.text_content or ""
    parent = node.parent
    if parent is not None and parent.tag == "pre":
        return text
    return _BLANKS.sub(" ", text)


def _tidy(text: str) -> str:
    lines = (line.strip(" \t\xa0") for line in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"))
    return _MANY_LINES.sub("\n\n", "\n".join(lines)).strip()


def text_to_html(text: str) -> str:
    return f"<p>{escape(text, quote=False)}</p>".replace("\n", "<br>")
