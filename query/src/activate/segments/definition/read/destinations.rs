//! Reads where a segment goes: the tables of `destinations`.

use std::path::{Path, PathBuf};

use super::{Fields, closest};
use crate::activate::segments::definition::{
    AwsSpec, ContactListSpec, CustomerProfilesSpec, DestinationSpec, ImportSpec, PinpointSpec,
    Secret,
};
use crate::config::{ConfigError, parse_duration};

const KINDS: [&str; 5] = ["s3", "customer-profiles", "pinpoint", "ses-contact-list", "webhook"];

/// One request a second for each account and Region ("General quotas", Amazon SES developer guide).
const SES_REQUEST_INTERVAL_MS: u64 = 1_000;
/// Above so many changes, one job takes less time than single requests (SES allows one a second).
const SES_IMPORT_ABOVE: u64 = 60;
/// A batch holds 100 endpoints; a hundred batches are seconds, a job takes minutes.
const PINPOINT_IMPORT_ABOVE: u64 = 10_000;
/// A batch holds 10 objects, and 10 batches a second are sent: above this an upload is quicker.
const PROFILES_UPLOAD_ABOVE: u64 = 20_000;
/// A year; Customer Profiles' own default for uploads, 14 days, empties segments by itself.
const PROFILES_EXPIRY_DAYS: u32 = 366;

impl Fields<'_> {
    pub(super) fn destinations(
        &self,
        folder: &Path,
    ) -> Result<Option<Vec<DestinationSpec>>, ConfigError> {
        let Some((offset, value)) = self.find("destinations") else { return Ok(None) };
        let expected = "a list such as [{ kind = \"s3\", uri = \"s3://bucket/segments\" }]";
        let bad = || self.file.bad(offset, "destinations", expected);
        let list = value.get_ref().as_array().ok_or_else(bad)?;
        let mut found: Vec<DestinationSpec> = Vec::new();
        for item in list {
            let table = item.get_ref().as_table().ok_or_else(bad)?;
            let at = item.span().start;
            let fields = Fields { file: self.file, table, at, name: "destinations" };
            let destination = fields.destination(folder)?;
            if found.iter().any(|other| other.identity() == destination.identity()) {
                return Err(self.file.bad(at, "destinations", "each a different place"));
            }
            found.push(destination);
        }
        Ok(Some(found))
    }

    fn destination(&self, folder: &Path) -> Result<DestinationSpec, ConfigError> {
        let kind = self.text("kind")?.unwrap_or_else(|| "s3".to_owned());
        match kind.as_str() {
            "s3" => {
                self.known(&["kind", "uri"])?;
                let uri = self.required_text("uri")?;
                Ok(DestinationSpec::folder_or_bucket(&relative_to(folder, &uri)))
            }
            "customer-profiles" => self.customer_profiles(),
            "pinpoint" => {
                self.known(&[
                    "kind",
                    "application",
                    "region",
                    "role_arn",
                    "import_uri",
                    "import_role_arn",
                    "import_above",
                ])?;
                let import = self.import()?;
                if import.as_ref().is_some_and(|import| import.role_arn.is_none()) {
                    return Err(self
                        .bad("import_role_arn", "the role with which Pinpoint reads import_uri"));
                }
                Ok(DestinationSpec::Pinpoint(PinpointSpec {
                    application: self.required_text("application")?,
                    aws: self.aws()?,
                    import,
                    import_above: self.whole("import_above", 1)?.unwrap_or(PINPOINT_IMPORT_ABOVE),
                }))
            }
            "ses-contact-list" => {
                self.known(&[
                    "kind",
                    "list",
                    "topic",
                    "region",
                    "role_arn",
                    "import_uri",
                    "import_above",
                    "request_interval",
                ])?;
                Ok(DestinationSpec::SesContactList(ContactListSpec {
                    list: self.required_text("list")?,
                    topic: self.required_text("topic")?,
                    aws: self.aws()?,
                    import: self.import()?,
                    import_above: self.whole("import_above", 1)?.unwrap_or(SES_IMPORT_ABOVE),
                    request_interval_ms: self.request_interval()?,
                }))
            }
            "webhook" => self.webhook(folder),
            other => {
                let near = closest(other, KINDS).unwrap_or("s3");
                let expected = format!("one of {} (nearest: {near})", KINDS.join(", "));
                Err(self.bad("kind", &expected))
            }
        }
    }

    /// Milliseconds between two requests.
    fn request_interval(&self) -> Result<u64, ConfigError> {
        let Some(text) = self.text("request_interval")? else { return Ok(SES_REQUEST_INTERVAL_MS) };
        let interval = parse_duration(&text).filter(|milliseconds| *milliseconds > 0);
        interval.ok_or_else(|| self.bad("request_interval", "a length of time such as \"1s\""))
    }

    fn customer_profiles(&self) -> Result<DestinationSpec, ConfigError> {
        self.known(&[
            "kind",
            "domain",
            "object_type",
            "region",
            "role_arn",
            "expiry_days",
            "upload_above",
        ])?;
        let expiry = self.whole("expiry_days", 1)?.unwrap_or(u64::from(PROFILES_EXPIRY_DAYS));
        let expected = "days from 1 to 1098";
        let expiry_days = u32::try_from(expiry).ok().filter(|days| *days <= 1098);
        Ok(DestinationSpec::CustomerProfiles(CustomerProfilesSpec {
            domain: self.required_text("domain")?,
            object_type: self.required_text("object_type")?,
            aws: self.aws()?,
            expiry_days: expiry_days.ok_or_else(|| self.bad("expiry_days", expected))?,
            upload_above: self.whole("upload_above", 1)?.unwrap_or(PROFILES_UPLOAD_ABOVE),
        }))
    }

    fn webhook(&self, folder: &Path) -> Result<DestinationSpec, ConfigError> {
        self.known(&["kind", "url", "secret"])?;
        let url = self.required_text("url")?;
        let parsed = url::Url::parse(&url).ok();
        let usable =
            parsed.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        if usable.is_none() {
            return Err(self.bad("url", "an https:// URL"));
        }
        let expected =
            "{ env = \"NAME\" } or { file = \"PATH\" }: secrets do not stand in the file";
        let (_, value) = self.find("secret").ok_or_else(|| self.bad("secret", expected))?;
        let table = value.get_ref().as_table().ok_or_else(|| self.bad("secret", expected))?;
        let at = value.span().start;
        let fields = Fields { file: self.file, table, at, name: "secret" };
        fields.known(&["env", "file"])?;
        let secret = match (fields.text("env")?, fields.text("file")?) {
            (Some(name), None) => Secret::Env(name),
            (None, Some(path)) => Secret::File(folder.join(path)),
            _ => return Err(self.bad("secret", expected)),
        };
        Ok(DestinationSpec::Webhook { url, secret })
    }

    fn aws(&self) -> Result<AwsSpec, ConfigError> {
        Ok(AwsSpec { region: self.text("region")?, role_arn: self.text("role_arn")? })
    }

    fn import(&self) -> Result<Option<ImportSpec>, ConfigError> {
        let Some(uri) = self.text("import_uri")? else { return Ok(None) };
        if !uri.starts_with("s3://") {
            return Err(self.bad("import_uri", "an s3:// URI: the service reads the files itself"));
        }
        let uri = uri.trim_end_matches('/').to_owned();
        Ok(Some(ImportSpec { uri, role_arn: self.text("import_role_arn")? }))
    }
}

/// A path in the file means one beside the file.
fn relative_to(folder: &Path, uri: &str) -> String {
    if uri.contains("://") || folder.as_os_str().is_empty() {
        return uri.to_owned();
    }
    let path: PathBuf = folder.join(uri);
    path.display().to_string()
}
