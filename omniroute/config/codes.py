"""The stable codes of findings. The reference page of errors is made from this table."""

from __future__ import annotations

from enum import StrEnum


class Code(StrEnum):
    """OR10xx reading, OR11xx substitution, OR12xx form, OR13xx references, OR14xx stages and expressions,
    OR15xx meaning and safety, OR16xx warnings, OR17xx notes, OR18xx tests, policies and trials, OR19xx building."""

    UNREADABLE = "OR1001"
    SYNTAX = "OR1002"
    EMPTY = "OR1003"
    NOT_A_MAP = "OR1004"
    DUPLICATE_KEY = "OR1005"
    ODD_KEY = "OR1006"
    CUSTOM_TAG = "OR1007"
    BAD_MERGE_KEY = "OR1008"
    TOO_DEEP = "OR1009"
    INCLUDE_CYCLE = "OR1010"
    INCLUDE_MISSING = "OR1011"
    DEFINED_TWICE = "OR1012"

    UNSET = "OR1101"
    BAD_SUBSTITUTION = "OR1102"
    FILE_UNREADABLE = "OR1103"
    SEALED = "OR1104"

    UNKNOWN_KEY = "OR1201"
    WRONG_TYPE = "OR1202"
    NOT_ONE_OF = "OR1203"
    OUT_OF_BOUNDS = "OR1204"
    BAD_QUANTITY = "OR1205"
    MISSING_KEY = "OR1206"
    BAD_NAME = "OR1207"
    BAD_TEXT = "OR1208"
    UNKNOWN_COMPONENT = "OR1209"
    VERSION = "OR1210"

    UNKNOWN_MODEL = "OR1301"
    UNKNOWN_PROXY = "OR1302"
    UNKNOWN_TRANSFORM = "OR1303"
    UNKNOWN_PIPELINE = "OR1304"
    UNKNOWN_FROM = "OR1305"
    UNKNOWN_FORMAT = "OR1306"
    AMBIGUOUS_MODEL = "OR1307"
    CYCLE = "OR1308"
    NESTED_TOO_DEEP = "OR1309"
    DUPLICATE_PREFIX = "OR1310"
    EMPTY_COMBO = "OR1311"

    STAGE_ORDER = "OR1401"
    STAGE_MISSING = "OR1402"
    BAD_JMESPATH = "OR1403"
    SAME_ENDPOINT = "OR1405"
    BAD_OP = "OR1406"

    OPEN_TO_ALL = "OR1501"
    KEY_WITHOUT_SECRET = "OR1502"
    SAME_KEY = "OR1503"
    NO_KEYS = "OR1504"
    BAD_NETWORK = "OR1505"
    BAD_DATE = "OR1506"
    BAD_HASH = "OR1507"
    BAD_ADDRESS = "OR1508"
    BAD_STORE = "OR1509"
    BAD_URL = "OR1510"
    BAD_ZONE = "OR1511"
    NO_FORMAT = "OR1512"

    NOT_ENFORCED = "OR1601"
    UNREACHABLE_TARGET = "OR1602"
    ONE_ACCOUNT = "OR1603"
    PER_PROCESS = "OR1604"
    MATCHES_NOTHING = "OR1605"
    LACKS_CAPABILITY = "OR1606"
    SHADOWED = "OR1607"
    SHADOWED_ROUTE = "OR1608"
    DEPRECATED = "OR1609"

    INACTIVE_ACCOUNT = "OR1701"
    UNUSED = "OR1702"
    LONG_WAIT = "OR1703"

    UNKNOWN_TO_TEST = "OR1801"
    POLICY = "OR1811"
    POLICY_UNDECIDED = "OR1812"
    NO_ANSWER = "OR1821"

    CANNOT_BUILD = "OR1900"
    NOT_BUILT_IN = "OR1901"


EXPLAINED: dict[Code, tuple[str, str]] = {
    Code.UNREADABLE: (
        "A file cannot be read",
        "The file does not exist, may not be opened, or is not text in UTF-8.",
    ),
    Code.SYNTAX: (
        "Not YAML",
        (
            "The text breaks the rules of YAML. Often a tab, a missing space after a colon, or an open quote. "
            "A value that begins with `{`, `[`, `*`, `&`, `@`, `%` or a backtick needs quotes."
        ),
    ),
    Code.EMPTY: (
        "The file is empty",
        "An empty file is never loaded: it is what a half-finished save looks like.",
    ),
    Code.NOT_A_MAP: (
        "The file is not a map",
        "A configuration is a map of sections: `version: 1`, `providers:` …",
    ),
    Code.DUPLICATE_KEY: (
        "A key stands twice in one map",
        "YAML parsers keep one of both in silence; we do not guess.",
    ),
    Code.ODD_KEY: (
        "A key is not text",
        "Keys are plain text. A value that begins with `{{` needs quotes, or YAML reads it as a map.",
    ),
    Code.CUSTOM_TAG: (
        "YAML tags are not used",
        "`!name` tags have no meaning here; `${…}` does what they are used for.",
    ),
    Code.BAD_MERGE_KEY: ("`<<` takes a map", "`<<: *anchor` merges a map, or a list of maps."),
    Code.TOO_DEEP: (
        "Nested too deep",
        "Anchors that contain themselves, or nesting beyond any sensible depth.",
    ),
    Code.INCLUDE_CYCLE: (
        "Files include each other",
        "A file may be included once; a cycle has no first file.",
    ),
    Code.INCLUDE_MISSING: (
        "An included file does not exist",
        "A pattern with `*`, `?` or `[` may match nothing; a plain path must exist.",
    ),
    Code.DEFINED_TWICE: (
        "One name is defined in two places",
        (
            "Files are merged name by name, and a name belongs to one file. Write `override: true` in the entry that "
            "is to replace the other."
        ),
    ),
    Code.UNSET: (
        "A variable is not set",
        "`${NAME}` needs the environment variable. `${NAME:-default}` gives a default, also an empty one.",
    ),
    Code.BAD_SUBSTITUTION: (
        "Not a substitution",
        (
            "Known are `${NAME}`, `${env:NAME}`, `${NAME:-default}`, `${NAME:?message}`, `${file:PATH}` and "
            "`${sealed:…}`. Write `$${` for a literal `${`."
        ),
    ),
    Code.FILE_UNREADABLE: (
        "`${file:…}` cannot be read",
        "The path is relative to the file in which it stands; `~` is the home folder.",
    ),
    Code.SEALED: (
        "A sealed value cannot be opened",
        (
            "`${sealed:…}` is opened with `OMNIROUTE_MASTER_KEY`, or the file that `OMNIROUTE_MASTER_KEY_FILE` names. "
            "`omniroute secrets seal` makes such values, and their second part tells which key opens them."
        ),
    ),
    Code.UNKNOWN_KEY: (
        "Unknown key",
        (
            "The key has no meaning at this place. Keys that begin with `x-` are yours and are ignored; `--lenient` "
            "turns unknown keys into warnings."
        ),
    ),
    Code.WRONG_TYPE: ("Wrong type", "The value is of another kind than the key takes."),
    Code.NOT_ONE_OF: ("Not one of the words", "The key takes one of a closed list of words."),
    Code.OUT_OF_BOUNDS: ("Out of bounds", "The number or the length is outside of what makes sense."),
    Code.BAD_QUANTITY: (
        "A quantity is written wrongly",
        "Durations are written `250ms 5s 10m 5h 7d`, sizes `64KiB 10MB`, counts `5M 200k`, money in US dollars.",
    ),
    Code.MISSING_KEY: ("A key is missing", "The map cannot do without it."),
    Code.BAD_NAME: ("A name with other letters", "Names match `[a-z0-9][a-z0-9._-]*`."),
    Code.BAD_TEXT: ("A text of the wrong form", "The text does not have the form that the key asks for."),
    Code.UNKNOWN_COMPONENT: (
        "No such stage, strategy or op",
        "The name is neither built in, nor declared in this configuration, nor offered by an installed plugin.",
    ),
    Code.VERSION: ("The version of the language", "The main file begins with `version: 1`."),
    Code.UNKNOWN_MODEL: (
        "Unknown model",
        "A model name is a combo, an alias, `provider/model`, or a name that exactly one provider lists.",
    ),
    Code.UNKNOWN_PROXY: ("Unknown proxy", "The name is neither in `proxies` nor `direct`."),
    Code.UNKNOWN_TRANSFORM: (
        "Unknown transform",
        "The name is neither in `transforms` nor a file of a `transforms/` folder.",
    ),
    Code.UNKNOWN_PIPELINE: (
        "Unknown pipeline",
        "The name is neither in `pipelines` nor a file of a `pipelines/` folder.",
    ),
    Code.UNKNOWN_FROM: (
        "Unknown catalogue entry",
        "`from` names an entry of the built-in catalogue, or `none`.",
    ),
    Code.UNKNOWN_FORMAT: ("Unknown wire format", "The format is not one that this version speaks."),
    Code.AMBIGUOUS_MODEL: (
        "Several providers list the model",
        "A bare model name must be listed by one enabled provider only; else write `provider/model`.",
    ),
    Code.CYCLE: ("Names that go in a circle", "A combo or an alias leads back to itself."),
    Code.NESTED_TOO_DEEP: ("Combos nested too deep", "Combos may name combos, five deep at most."),
    Code.DUPLICATE_PREFIX: (
        "Two providers with one prefix",
        "A prefix, or an id, must lead to one provider.",
    ),
    Code.EMPTY_COMBO: ("A combo without targets", "A combo needs at least one target."),
    Code.STAGE_ORDER: (
        "Stages in an order that cannot work",
        "A stage stands before the one that gives what it needs.",
    ),
    Code.STAGE_MISSING: (
        "A pipeline lacks a stage",
        "What follows needs something that no stage of the pipeline gives.",
    ),
    Code.BAD_JMESPATH: (
        "Not a JMESPath expression",
        "Conditions and paths are JMESPath; literals are in backticks.",
    ),
    Code.SAME_ENDPOINT: (
        "Two pipelines serve one endpoint family",
        "An endpoint family belongs to one pipeline.",
    ),
    Code.BAD_OP: ("A transform op that cannot be compiled", "The op does not take what it is given."),
    Code.OPEN_TO_ALL: (
        "Open to everybody",
        (
            "The gateway would listen beyond this machine without asking for a key. Declare a key, listen on "
            "127.0.0.1, or write `auth: {required: false}` to say that it is meant."
        ),
    ),
    Code.KEY_WITHOUT_SECRET: ("A key without a value", "A key needs one of `key` and `hash`."),
    Code.SAME_KEY: ("Two keys with one value", "Nobody could tell who calls."),
    Code.NO_KEYS: ("A key is required and none is declared", "Nobody could call."),
    Code.BAD_NETWORK: (
        "Not a network",
        "Networks are written `10.0.0.0/8`, `2001:db8::/32`, or as one address.",
    ),
    Code.BAD_DATE: ("Not a date", "Dates are ISO 8601: `2027-01-01`, or `2027-01-01T12:00:00Z`."),
    Code.BAD_HASH: ("Not a hash", "A hash is `sha256:` and 64 hex digits: `omniroute keys hash` makes one."),
    Code.BAD_ADDRESS: (
        "Not an address to listen on",
        'Addresses are `"host:port"`, `":port"` or `"unix:/path"`.',
    ),
    Code.BAD_STORE: ("Not a store", "Stores are `memory`, `sqlite:PATH` and `redis://…`."),
    Code.BAD_URL: ("Not a URL", "The URL needs a scheme that this key takes, and a host."),
    Code.BAD_ZONE: ("Not a time zone", "Zones are names of the IANA database: `Europe/Rome`, `UTC`."),
    Code.NO_FORMAT: (
        "A provider without format",
        "A provider that is not in the catalogue needs `format` and `base_url`, or `formats`.",
    ),
    Code.NOT_ENFORCED: (
        "Accepted, not yet enforced",
        "The key is part of the language, and this version does not act on it yet.",
    ),
    Code.UNREACHABLE_TARGET: (
        "A target that is never reached",
        "Its provider or combo is disabled or has no account, or the combo names the same target before.",
    ),
    Code.ONE_ACCOUNT: (
        "All targets share one account",
        "When that account is spent or refused, the whole combo is.",
    ),
    Code.PER_PROCESS: (
        "Limits of each process",
        "With several workers, limits count in each of them unless they share a store (`sqlite:PATH`, `redis://…`).",
    ),
    Code.MATCHES_NOTHING: (
        "A name or pattern that matches nothing",
        "Nothing in this configuration fits it.",
    ),
    Code.LACKS_CAPABILITY: (
        "No target has what a stage asks for",
        (
            "A stage of the pipeline asks for a capability, `thinking` for example, and the catalogue or the "
            "configuration says of every target of the combo that it lacks it."
        ),
    ),
    Code.SHADOWED: ("A name that another one hides", "The combo of the same name is found first."),
    Code.SHADOWED_ROUTE: (
        "A route that is never reached",
        "The first match wins, and an earlier route matches all that this one does. Put the narrower one first.",
    ),
    Code.DEPRECATED: (
        "A deprecated key",
        "It still works in this minor version. The hint says what to write instead.",
    ),
    Code.INACTIVE_ACCOUNT: (
        "An account without a key",
        "An account whose key is empty is inactive: one file serves people with different keys.",
    ),
    Code.UNUSED: (
        "Declared, and named nowhere",
        "Nothing in this configuration uses it. A pipeline needs `endpoints`, or a route that leads to it.",
    ),
    Code.LONG_WAIT: (
        "A chain that can take long",
        (
            "The worst case: every attempt of every active target runs into its deadline. `timeouts.total`, "
            "`retry.attempts` and the `timeout` of a target make it shorter."
        ),
    ),
    Code.POLICY: (
        "A policy of yours is not kept",
        "A rule of the file given with `--policy` is false for this entry. The rule says how severe that is.",
    ),
    Code.POLICY_UNDECIDED: (
        "A policy that cannot be decided",
        "Its expression gives a function something that it cannot take, or uses one that does not exist.",
    ),
    Code.NO_ANSWER: (
        "A provider does not answer, or refuses the account",
        "Told by `validate --online`, which tries every active account once.",
    ),
    Code.CANNOT_BUILD: (
        "A component cannot be built",
        "Its options are of the right form, and it refuses them.",
    ),
    Code.UNKNOWN_TO_TEST: (
        "A test names what is not there",
        "A provider or key of a `*.test.yaml` is not in the configuration that it tests.",
    ),
    Code.NOT_BUILT_IN: (
        "A component is not there",
        "The name passed the check, and the process does not know it.",
    ),
}
"""Code → what it is called, and what to know about it."""
