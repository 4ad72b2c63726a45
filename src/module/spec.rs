//! What a command looks like from outside. One [`Spec`] per command is the single source for registration, arity, key
//! positions, `COMMAND DOCS`, ACL categories, the usage text and docs/COMMANDS.md.

/// A command's face.
#[derive(Debug)]
pub struct Spec {
    /// Its name, upper case.
    pub name: &'static str,
    /// Flags as `RM_CreateCommand` takes them.
    pub flags: &'static str,
    /// The module version it came with.
    pub since: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// Cost, with its letters explained.
    pub complexity: &'static str,
    /// Where its keys stand.
    pub keys: Keys,
    /// Its arguments, in order.
    pub args: &'static [ArgSpec],
    /// What it answers, for the reference.
    pub reply: &'static str,
    /// Paragraphs for the reference: decisions, edge cases.
    pub notes: &'static [&'static str],
}

/// Where keys stand among the arguments, and what happens to them.
#[derive(Clone, Copy, Debug)]
pub enum Keys {
    /// One key, the first argument.
    One(Access),
    /// A count, then that many keys.
    Counted(Access),
    /// One key, the first argument; and where argument `at` (the command's name being 0) is the word `KEY`, a second one
    /// after it, which is read.
    OneAndSource {
        /// What happens to the first.
        access: Access,
        /// Where the word may stand.
        at: usize,
    },
    /// One key, the first argument; and after the word `WHERE`, anywhere behind it, another one, which is read.
    OneAndMask(Access),
}

impl Keys {
    /// What happens to the first key.
    pub fn access(self) -> Access {
        match self {
            Keys::One(access)
            | Keys::Counted(access)
            | Keys::OneAndMask(access)
            | Keys::OneAndSource { access, .. } => access,
        }
    }
}

/// What a command does with a key, as key specs say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reads the elements.
    Read,
    /// Reads what is known about the array, not its elements.
    ReadMeta,
    /// Sets the value, whatever was there.
    Overwrite,
    /// Changes the value.
    Update,
}

/// What an argument is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArgKind {
    /// A key's name.
    Key,
    /// Bytes or text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
    /// Unix time.
    UnixTime,
    /// A word that stands for itself.
    Token,
    /// One of the arguments within.
    OneOf,
    /// All of the arguments within.
    Block,
}

/// One argument.
#[derive(Clone, Copy, Debug)]
pub struct ArgSpec {
    /// Its name, lower case.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgKind,
    /// The word in front of it, or the word itself; empty for none.
    pub token: &'static str,
    /// Whether it may be left out.
    pub optional: bool,
    /// Whether it may be repeated.
    pub multiple: bool,
    /// The arguments within.
    pub args: &'static [ArgSpec],
}

impl ArgSpec {
    const fn new(name: &'static str, kind: ArgKind) -> ArgSpec {
        ArgSpec { name, kind, token: "", optional: false, multiple: false, args: &[] }
    }

    /// May be left out.
    pub const fn optional(mut self) -> ArgSpec {
        self.optional = true;
        self
    }

    /// May be repeated.
    pub const fn multiple(mut self) -> ArgSpec {
        self.multiple = true;
        self
    }

    /// Has a word in front.
    pub const fn after(mut self, token: &'static str) -> ArgSpec {
        self.token = token;
        self
    }

    /// How the argument is written in a usage text.
    fn usage(&self, out: &mut String) {
        if self.optional {
            out.push('[');
        }
        if self.kind == ArgKind::Token {
            out.push_str(self.token);
        } else {
            if !self.token.is_empty() {
                out.push_str(self.token);
                out.push(' ');
            }
            self.usage_inner(out);
            if self.multiple {
                out.push_str(" [");
                self.usage_inner(out);
                out.push_str(" ...]");
            }
        }
        if self.optional {
            out.push(']');
        }
    }

    fn usage_inner(&self, out: &mut String) {
        let separator = match self.kind {
            ArgKind::OneOf => " | ",
            ArgKind::Block => " ",
            _ => {
                out.push_str(self.name);
                return;
            }
        };
        let parenthesised = self.kind == ArgKind::OneOf && !self.optional && self.args.len() > 1;
        if parenthesised {
            out.push('<');
        }
        for (i, arg) in self.args.iter().enumerate() {
            if i > 0 {
                out.push_str(separator);
            }
            arg.usage(out);
        }
        if parenthesised {
            out.push('>');
        }
    }

    /// The least number of arguments it takes.
    fn least(&self) -> i32 {
        if self.optional {
            return 0;
        }
        let own = i32::from(!self.token.is_empty() && self.kind != ArgKind::Token);
        own + match self.kind {
            ArgKind::OneOf => self.args.iter().map(ArgSpec::least).min().unwrap_or(0),
            ArgKind::Block => self.args.iter().map(ArgSpec::least).sum(),
            _ => 1,
        }
    }

    /// Whether it always takes the same number.
    fn is_fixed(&self) -> bool {
        !self.optional
            && !self.multiple
            && match self.kind {
                ArgKind::OneOf => self.args.iter().all(|a| a.is_fixed() && a.least() == self.args[0].least()),
                ArgKind::Block => self.args.iter().all(ArgSpec::is_fixed),
                _ => true,
            }
    }
}

/// A key.
pub const fn key(name: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::Key)
}

/// Bytes or text.
pub const fn string(name: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::String)
}

/// A whole number.
pub const fn integer(name: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::Integer)
}

/// A number.
pub const fn double(name: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::Double)
}

/// Unix time.
pub const fn unix_time(name: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::UnixTime)
}

/// A word that stands for itself.
pub const fn word(name: &'static str, token: &'static str) -> ArgSpec {
    ArgSpec::new(name, ArgKind::Token).after(token)
}

/// One of several.
pub const fn one_of(name: &'static str, args: &'static [ArgSpec]) -> ArgSpec {
    let mut spec = ArgSpec::new(name, ArgKind::OneOf);
    spec.args = args;
    spec
}

/// Several, all of them.
pub const fn block(name: &'static str, args: &'static [ArgSpec]) -> ArgSpec {
    let mut spec = ArgSpec::new(name, ArgKind::Block);
    spec.args = args;
    spec
}

const ARRAYS: &[ArgSpec] = &[
    block("blob-form", &[string("dtype"), string("shape"), string("bytes").after("BLOB")]),
    block(
        "pieces-form",
        &[string("dtype"), string("shape"), integer("count").after("PIECES"), string("bytes").multiple()],
    ),
    block("values-form", &[string("dtype"), string("shape"), string("value").after("VALUES").multiple()]),
    string("npy").after("NPY"),
    string("arrow").after("ARROW"),
    block("json-form", &[string("text").after("JSON"), string("json-dtype").after("DTYPE").optional()]),
    key("source").after("KEY"),       // where the command says so
    string("number").after("SCALAR"), // where the command says so, and therefore last
];

/// The *array argument* of the contract.
pub const ARRAY: ArgSpec = one_of("array", ARRAYS.split_at(ARRAYS.len() - 2).0);

/// The *array argument* that may be another key.
pub const ARRAY_OR_KEY: ArgSpec = one_of("array", ARRAYS.split_at(ARRAYS.len() - 1).0);

/// The *array argument* that may be another key, or one number.
pub const ARRAY_OR_SCALAR: ArgSpec = one_of("array", ARRAYS);

/// `IFDEQ`.
pub const IF_DIGEST: ArgSpec = string("digest").after("IFDEQ").optional();

/// Positions on an axis, in any of three forms.
pub const POSITIONS: ArgSpec = one_of(
    "positions",
    &[
        block("list-form", &[integer("n"), integer("position").optional().multiple()]),
        string("int64-bytes").after("BLOB"),
        block("pieces-form", &[integer("count").after("PIECES"), string("int64-bytes").multiple()]),
    ],
);

const FORMATS: &[ArgSpec] = &[
    word("blob", "BLOB"),
    word("pieces", "PIECES"),
    word("npy", "NPY"),
    word("arrow", "ARROW"),
    word("values", "VALUES"),
    word("json", "JSON"),
    word("text", "TEXT"),
    word("npz", "NPZ"), // of several arrays only, and therefore last
];

/// The *format* of the contract.
pub const FORMAT: ArgSpec = one_of("format", FORMATS.split_at(FORMATS.len() - 1).0).optional();

/// The *format* of several arrays: `NPZ` too.
pub const FORMAT_OF_SEVERAL: ArgSpec = one_of("format", FORMATS).optional();

/// `EX`, `PX`, `EXAT`, `PXAT`, `KEEPTTL`.
pub const EXPIRY: ArgSpec = one_of(
    "expiration",
    &[
        integer("seconds").after("EX"),
        integer("milliseconds").after("PX"),
        unix_time("unix-time-seconds").after("EXAT"),
        unix_time("unix-time-milliseconds").after("PXAT"),
        word("keepttl", "KEEPTTL"),
    ],
)
.optional();

/// `NX` or `XX`.
pub const EXISTENCE: ArgSpec = one_of("condition", &[word("nx", "NX"), word("xx", "XX")]).optional();

/// `CODEC`.
pub const CODEC: ArgSpec = one_of(
    "codec",
    &[
        word("auto", "auto"),
        word("raw", "raw"),
        word("lz4", "lz4"),
        word("zstd", "zstd[:level]"),
        word("pco", "pco[:level]"),
    ],
)
.after("CODEC")
.optional();

/// `CHUNK`.
pub const CHUNK: ArgSpec = one_of("chunk", &[string("chunk-shape"), word("auto", "AUTO")]).after("CHUNK").optional();

/// `IFDEQ` or `IFDNE`.
pub const DIGEST_CONDITION: ArgSpec =
    one_of("digest-condition", &[string("digest").after("IFDEQ"), string("digest").after("IFDNE")]).optional();

impl Spec {
    /// The smallest number of words of a call, negative where more are allowed, as Redis counts arity.
    pub fn arity(&self) -> i32 {
        let least = 1 + self.args.iter().map(ArgSpec::least).sum::<i32>();
        if self.args.iter().all(ArgSpec::is_fixed) {
            least
        } else {
            -least
        }
    }

    /// The call on one line.
    pub fn usage(&self) -> String {
        let mut out = self.name.to_string();
        for arg in self.args {
            out.push(' ');
            arg.usage(&mut out);
        }
        out
    }

    /// The keyspace event, and the name as the server shows it: lower case.
    pub fn lower_name(&self) -> String {
        self.name.to_ascii_lowercase()
    }

    /// Whether the command changes keys.
    pub fn is_write(&self) -> bool {
        self.flags.split(' ').any(|f| f == "write")
    }

    /// The command's section of docs/COMMANDS.md.
    pub fn reference(&self) -> String {
        let mut out = format!("## {}\n\n```\n{}\n```\n\n{}\n\n", self.name, self.usage(), self.summary);
        out.push_str(&format!("- **Reply:** {}\n", self.reply));
        out.push_str(&format!("- **Complexity:** {}\n", self.complexity));
        out.push_str(&format!("- **Flags:** `{}`, ACL category `@ndarray`\n- **Since:** {}\n", self.flags, self.since));
        for note in self.notes {
            out.push_str(&format!("\n{note}\n"));
        }
        out.push('\n');
        out
    }
}
