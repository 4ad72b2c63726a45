//! The commands: the table of contents.

mod append;
mod attributes;
mod create;
mod describe;
mod digest;
mod gather;
mod get;
mod histogram;
mod item;
mod mget;
mod mset;
mod quantile;
mod recode;
mod reduce;
mod reshape;
mod restorepart;
mod sample;
mod set;
mod setslice;
mod show;
mod slice;
mod stats;
mod take;
mod update;

use redis_module::raw;

use super::register::{register, Command};
use super::spec::Spec;

macro_rules! commands {
    ($($command:path),* $(,)?) => {
        /// Every command's face, in the order of the reference.
        pub const SPECS: &[&Spec] = &[$(&<$command as Command>::SPEC),*];

        /// Registers every command.
        ///
        /// # Errors
        /// A sentence for the log.
        pub fn register_all(ctx: *mut raw::RedisModuleCtx, with_category: bool) -> Result<(), String> {
            $(register::<$command>(ctx, with_category)?;)*
            Ok(())
        }
    };
}

commands! {
    set::Set,
    get::Get,
    mset::Mset,
    mget::Mget,
    gather::Gather,
    create::Create,
    describe::Info,
    describe::Shape,
    describe::Dtype,
    show::Show,
    digest::Digest,
    digest::Verify,
    attributes::AttrSet,
    attributes::AttrGet,
    attributes::AttrDel,
    slice::Slice,
    item::Item,
    setslice::SetSlice,
    update::Update,
    append::Append,
    reshape::Reshape,
    reshape::Resize,
    reshape::Astype,
    recode::Recode,
    take::Take,
    sample::Sample,
    reduce::Sum,
    reduce::Mean,
    reduce::Prod,
    reduce::Std,
    reduce::Var,
    reduce::Min,
    reduce::Max,
    reduce::Ptp,
    reduce::ArgMin,
    reduce::ArgMax,
    reduce::Any,
    reduce::All,
    reduce::Count,
    reduce::Norm,
    quantile::Median,
    quantile::Quantile,
    stats::Stats,
    histogram::Histogram,
    restorepart::RestorePart,
}

/// docs/COMMANDS.md.
pub fn reference() -> String {
    let mut out = String::from(
        "# Commands\n\n<!-- Generated from the command table: `make docs`. Edit the specs in src/module/commands instead. -->\n\n\
         Words such as *array argument*, *format* and *scalar reply* are explained at the end.\n\n",
    );
    for spec in SPECS {
        out.push_str(&format!("- [{}](#{}) — {}\n", spec.name, spec.lower_name().replace('.', ""), spec.summary));
    }
    out.push('\n');
    SPECS.iter().for_each(|spec| out.push_str(&spec.reference()));
    out.push_str(include_str!("words.md"));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_in_docs_is_fresh() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/COMMANDS.md");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(path, reference()).expect("docs/COMMANDS.md can be written");
        }
        let on_disk = std::fs::read_to_string(path).unwrap_or_default();
        assert!(on_disk == reference(), "docs/COMMANDS.md is stale: run `make docs`");
    }

    #[test]
    fn every_spec_is_whole() {
        for spec in SPECS {
            assert!(spec.name.starts_with("ND."), "{}", spec.name);
            assert!(spec.flags.contains("write") != spec.flags.contains("readonly"), "{}", spec.name);
            assert!(
                spec.summary.ends_with('.') && !spec.complexity.is_empty() && !spec.reply.is_empty(),
                "{}",
                spec.name
            );
            assert_eq!(spec.is_write(), spec.flags.contains("write"));
        }
    }

    #[test]
    fn usage_and_arity_follow_from_the_arguments() {
        let spec = |name: &str| SPECS.iter().find(|s| s.name == name).expect("a command");
        assert_eq!(spec("ND.SHAPE").arity(), 2);
        assert_eq!(spec("ND.SET").arity(), -4);
        assert_eq!(spec("ND.MGET").arity(), -3);
        assert_eq!(
            spec("ND.GET").usage(),
            "ND.GET key [DTYPE dtype] [IFDNE digest] [BLOB | PIECES | NPY | ARROW | VALUES | JSON | TEXT]"
        );
    }
}
