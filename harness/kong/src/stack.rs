//! Kong's two TLS stacks.

use crate::words::UnknownWord;

/// One of Kong's two TLS stacks. One and the same kong.conf goes through both at every start.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
    strum::VariantArray,
)]
#[cfg_attr(feature = "schemars", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case", parse_err_ty = UnknownWord, parse_err_fn = unknown)]
pub enum Stack {
    /// LuaSec, while nginx starts: verifies during the handshake, obeys `pg_ssl_version`, has no limit for the depth
    /// of a chain.
    Luasec,
    /// An nginx cosocket, in the workers and on the command line since 3.5: verifies after the handshake, obeys
    /// `lua_ssl_protocols` and `lua_ssl_verify_depth`.
    Cosocket,
}

fn unknown(word: &str) -> UnknownWord {
    UnknownWord::of::<Stack>(word, "a stack")
}

impl Stack {
    /// Both.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_parsed_from_what_it_is_printed_as() {
        for stack in Stack::ALL {
            assert_eq!(stack.to_string().parse(), Ok(*stack));
        }
        let error = "nginx".parse::<Stack>().expect_err("no stack");
        assert_eq!(error.to_string(), "`nginx` is not a stack; expected luasec or cosocket");
    }
}
