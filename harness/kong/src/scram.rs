//! SCRAM-SHA-256 as pgmoon does it, as a state machine over the bodies of messages.

use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};

use crate::limits;

/// Why pgmoon does not go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ScramError<E> {
    /// The server offers none of the mechanisms. The text is the whole body of its message.
    #[error("unsupported SCRAM mechanism name: {0}")]
    Mechanism(String),
    /// What should be the server's challenge is another message. The text is its whole body.
    #[error("server_first_message error: {0}")]
    Challenge(String),
    /// A part of the challenge is missing.
    #[error("malformed server message ({0})")]
    Malformed(&'static str),
    /// The role's secret was made with fewer iterations than pgmoon accepts.
    #[error("the iteration-count sent by the server is less than 4096")]
    TooFewIterations,
    /// More iterations than [`limits::SCRAM_ITERATIONS`], which pgmoon would calculate.
    #[error("asks for {0} iterations of SCRAM")]
    TooManyIterations(u32),
    /// There is nothing to bind to.
    #[error(transparent)]
    Binding(E),
    /// The password is wrong on one of the sides, or the server's message is not a SCRAM message.
    #[error("authentication exchange unsuccessful")]
    Unsuccessful,
}

/// An exchange that has begun.
pub(crate) struct Exchange {
    scram: ScramSha256,
    mechanism: &'static str,
}

impl Exchange {
    /// Begins, with channel binding wherever the server offers that. `request` is the body of its message, anywhere in
    /// which pgmoon looks for the names; `end_point` yields what the exchange is bound to.
    pub(crate) fn begin<E>(
        request: &[u8],
        password: &[u8],
        end_point: impl FnOnce() -> Result<Vec<u8>, E>,
    ) -> Result<Self, ScramError<E>> {
        let offers = |mechanism: &str| request.windows(mechanism.len()).any(|part| part == mechanism.as_bytes());
        let (mechanism, channel) = if offers(SCRAM_SHA_256_PLUS) {
            let end_point = end_point().map_err(ScramError::Binding)?;
            (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(end_point))
        } else if offers(SCRAM_SHA_256) {
            (SCRAM_SHA_256, ChannelBinding::unsupported())
        } else {
            return Err(ScramError::Mechanism(String::from_utf8_lossy(request).into_owned()));
        };
        Ok(Self { scram: ScramSha256::new(password, channel), mechanism })
    }

    /// The first message: the mechanism, and the client's nonce with its length.
    pub(crate) fn first(&self) -> Vec<u8> {
        let first = self.scram.message();
        let length = i32::try_from(first.len()).unwrap_or(i32::MAX).to_be_bytes();
        [self.mechanism.as_bytes(), b"\0", &length, first].concat()
    }

    /// The answer to the server's challenge: the proof of the password.
    pub(crate) fn answer<E>(&mut self, challenge: &[u8]) -> Result<Vec<u8>, ScramError<E>> {
        check(&String::from_utf8_lossy(challenge))?;
        self.scram.update(challenge).map_err(|_| ScramError::Unsuccessful)?;
        Ok(self.scram.message().to_vec())
    }

    /// Checks the server's own proof.
    pub(crate) fn finish<E>(&mut self, end: &[u8]) -> Result<(), ScramError<E>> {
        self.scram.finish(end).map_err(|_| ScramError::Unsuccessful)
    }
}

/// The fewest iterations that pgmoon accepts; PostgreSQL itself has no such limit.
const ITERATIONS: u32 = 4096;

/// Checks the challenge as pgmoon does, in its order.
fn check<E>(challenge: &str) -> Result<(), ScramError<E>> {
    let part = |name: &str| challenge.split_once(name).map(|(_, rest)| rest).filter(|rest| !rest.is_empty());
    part(",s=").ok_or(ScramError::Malformed("salt"))?;
    let iterations = part(",i=").ok_or(ScramError::Malformed("iteraton count"))?;
    match iterations.parse::<u32>() {
        Ok(count) if count < ITERATIONS => Err(ScramError::TooFewIterations),
        Ok(count) if count > limits::SCRAM_ITERATIONS => Err(ScramError::TooManyIterations(count)),
        Ok(_) => Ok(()),
        Err(_) => Err(ScramError::Unsuccessful),
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use rstest::rstest;

    use super::*;

    const BOTH: &[u8] = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

    fn begin(mechanisms: &[u8]) -> Result<Exchange, ScramError<Infallible>> {
        Exchange::begin(mechanisms, b"kong", || Ok(b"hash".to_vec()))
    }

    #[rstest]
    #[case(BOTH, b"SCRAM-SHA-256-PLUS\0", b"p=tls-server-end-point,,n=,r=")]
    #[case(b"SCRAM-SHA-256\0\0", b"SCRAM-SHA-256\0", b"n,,n=,r=")]
    fn the_channel_is_bound_wherever_that_is_offered(
        #[case] mechanisms: &[u8],
        #[case] mechanism: &[u8],
        #[case] header: &[u8],
    ) {
        let first = begin(mechanisms).expect("an exchange").first();
        let message = first.strip_prefix(mechanism).expect("the mechanism");
        let (length, message) = message.split_at(4);
        assert_eq!(
            i32::from_be_bytes(length.try_into().expect("a length")),
            i32::try_from(message.len()).expect("small")
        );
        assert!(message.starts_with(header));
    }

    #[test]
    fn other_mechanisms_are_unknown() {
        let error = begin(b"\0\0\0\x0aOAUTHBEARER\0\0").err().expect("no exchange").to_string();
        assert_eq!(error, "unsupported SCRAM mechanism name: \0\0\0\nOAUTHBEARER\0\0");
    }

    #[test]
    fn an_invalid_challenge_ends_the_exchange() {
        let mut exchange = begin(BOTH).expect("an exchange");
        let error = exchange.answer::<Infallible>(b"r=another nonce,s=c2FsdA==,i=4096").expect_err("no answer");
        assert_eq!(error.to_string(), "authentication exchange unsuccessful");
    }

    #[rstest]
    #[case("r=nonce,s=c2FsdA==,i=4095", "the iteration-count sent by the server is less than 4096")]
    #[case("r=nonce,i=4096", "malformed server message (salt)")]
    #[case("r=nonce,s=c2FsdA==", "malformed server message (iteraton count)")]
    fn a_challenge_is_checked_before_the_password(#[case] challenge: &str, #[case] expected: &str) {
        let error =
            begin(BOTH).expect("an exchange").answer::<Infallible>(challenge.as_bytes()).expect_err("no answer");
        assert_eq!(error.to_string(), expected);
    }

    #[rstest]
    #[case(4096, "Ok")]
    #[case(limits::SCRAM_ITERATIONS, "Ok")]
    #[case(limits::SCRAM_ITERATIONS + 1, "too many")]
    fn iterations_have_a_limit(#[case] count: u32, #[case] expected: &str) {
        let checked = match check::<Infallible>(&format!("r=nonce,s=c2FsdA==,i={count}")) {
            Ok(()) => "Ok",
            Err(ScramError::TooManyIterations(number)) if number == count => "too many",
            Err(_) => "another error",
        };
        assert_eq!(checked, expected);
    }

    #[test]
    fn a_server_that_cannot_prove_that_it_knows_the_password_is_refused() {
        let mut exchange = begin(BOTH).expect("an exchange");
        let first = String::from_utf8_lossy(&exchange.first()).into_owned();
        let nonce = first.rsplit_once("r=").expect("a nonce").1;
        let challenge = format!("r={nonce}more,s=c2FsdA==,i=4096");
        let answer = exchange.answer::<Infallible>(challenge.as_bytes()).expect("an answer");
        assert!(String::from_utf8_lossy(&answer).contains(&format!("r={nonce}more,p=")));
        let proof = b"v=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let error = exchange.finish::<Infallible>(proof).expect_err("no proof");
        assert_eq!(error.to_string(), "authentication exchange unsuccessful");
    }

    #[test]
    fn without_a_binding_nothing_is_sent() {
        let begun = Exchange::begin(BOTH, b"kong", || Err("no certificate"));
        assert!(matches!(begun, Err(ScramError::Binding("no certificate"))));
    }
}
