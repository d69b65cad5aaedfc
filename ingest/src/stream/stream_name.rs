//! How a user names a stream: responsible for telling a name from an ARN, and either from neither.

/// A stream as the user names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum StreamName {
    /// `feedback`, in the configured account and Region.
    Name(String),
    /// `arn:aws:kinesis:REGION:ACCOUNT:stream/NAME`.
    Arn(String),
}

impl StreamName {
    /// Reads a name or an ARN.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in a sentence that can follow a colon.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "the stream is missing; it looks like kinesis:NAME or kinesis:ARN".to_owned()
            );
        }
        let Some(rest) = text.strip_prefix("arn:") else {
            check_name(text)?;
            return Ok(Self::Name(text.to_owned()));
        };
        let parts: Vec<&str> = rest.splitn(5, ':').collect();
        match parts.as_slice() {
            [_, "kinesis", region, account, resource]
                if !region.is_empty() && !account.is_empty() =>
            {
                let name = resource.strip_prefix("stream/").unwrap_or_default();
                check_name(name)?;
                Ok(Self::Arn(text.to_owned()))
            }
            _ => Err(
                "the ARN of a stream looks like arn:aws:kinesis:eu-west-1:123456789012:stream/NAME"
                    .to_owned(),
            ),
        }
    }

    pub(super) fn region(&self) -> Option<&str> {
        match self {
            Self::Name(_) => None,
            Self::Arn(arn) => arn.split(':').nth(3),
        }
    }

    pub(super) fn name(&self) -> Option<String> {
        match self {
            Self::Name(name) => Some(name.clone()),
            Self::Arn(_) => None,
        }
    }

    pub(super) fn arn(&self) -> Option<String> {
        match self {
            Self::Name(_) => None,
            Self::Arn(arn) => Some(arn.clone()),
        }
    }
}

/// Kinesis API reference, `CreateStream`: 1 to 128 of these.
fn check_name(name: &str) -> Result<(), String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    if name.is_empty() || name.len() > 128 || !name.bytes().all(fits) {
        return Err(
            "the name of a stream has 1 to 128 letters, digits, dots, hyphens and underscores"
                .to_owned(),
        );
    }
    Ok(())
}

impl std::fmt::Display for StreamName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(text) | Self::Arn(text) => f.write_str(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_named_by_name_or_arn() {
        let arn = "arn:aws:kinesis:eu-west-1:123456789012:stream/feed.back-1";
        assert_eq!(StreamName::parse("feed_back"), Ok(StreamName::Name("feed_back".to_owned())));
        let parsed = StreamName::parse(arn).expect("an ARN");
        assert_eq!(parsed.region(), Some("eu-west-1"));
        for wrong in [
            "",
            "feed back",
            "feed/back",
            "arn:aws:sns:eu-west-1:123456789012:topic",
            "arn:aws:kinesis:eu-west-1:123456789012:stream/",
            "arn:aws:kinesis::123456789012:stream/x",
            &"x".repeat(129),
        ] {
            StreamName::parse(wrong).expect_err(wrong);
        }
    }
}
