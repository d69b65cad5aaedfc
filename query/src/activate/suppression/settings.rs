//! `[suppression]` of the configuration, as types that cannot be wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::list::folded;
use super::policy::{RULES, Scope, rule};
use crate::config::{Config, Origin, Setting, text_of};
use crate::nearest::nearest;

/// Shortest time from one round to the next.
pub const SHORTEST_ROUND: Duration = Duration::from_secs(1);

/// A setting that has the right shape and still makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{place}`{key}` {wrong}")]
pub struct SettingsError {
    place: String,
    key: String,
    wrong: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// A list to keep, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// AWS Region; None for the one that the surroundings name.
    pub region: Option<String>,
    /// 12-digit account; None to ask AWS who we are.
    pub account: Option<String>,
    /// Role to assume.
    pub role_arn: Option<String>,
    /// SES tenant whose list it is; None for the account's.
    pub tenant: Option<String>,
    /// Where import files of this list go, `s3://bucket/prefix`.
    pub import_prefix: Option<String>,
}

/// How much may change in one run without further consent.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Additions to one list.
    pub max_adds: u64,
    /// Additions to one list, in millionths of the active recipients.
    pub max_add_share: u64,
    /// Removals from one list.
    pub max_removals: u64,
    /// Removals from one list, in millionths of the active recipients.
    pub max_removal_share: u64,
    /// Who was sent something within this time is active, in microseconds.
    pub active_us: i64,
}

/// How many distinct failed messages over how long a time.
#[derive(Clone, Copy, Debug)]
pub struct Repeated {
    /// Distinct messages.
    pub failures: u64,
    /// Time from the first to the last of them, in microseconds.
    pub window_us: i64,
}

/// When an hour at one provider is no evidence.
#[derive(Clone, Copy, Debug)]
pub struct FreezeLimits {
    /// Share of failures above which it is frozen, in millionths.
    pub share: u64,
    /// Failing recipients that it takes.
    pub recipients: u64,
}

/// A rule in SQL, returning `address`, `reason` and, if it likes, `evidence`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CustomRule {
    /// Name, as it stands in plans and in the ledger.
    pub name: String,
    /// The statement.
    pub sql: String,
    /// To which lists it speaks; `local` needs columns `account_id` and `region`.
    pub scope: Scope,
    /// Lifetime of what it suppresses, in microseconds; None for ever.
    pub expiry_us: Option<i64>,
}

/// How requests are made.
#[derive(Clone, Copy, Debug)]
pub struct Requests {
    /// Changes of one list up to which each is a request of its own.
    pub single: u64,
    /// Time between two requests to one account and Region.
    pub interval: Duration,
    /// How long requests may go on failing.
    pub give_up: Duration,
    /// How long to wait for an import job.
    pub import_wait: Duration,
    /// Age at which a list is read in full again, in microseconds.
    pub full_listing_us: i64,
}

/// Whom to tell when a run is stopped.
#[derive(Clone, Debug, Default)]
pub struct Alerts {
    /// URL that gets a POST with JSON.
    pub webhook: Option<String>,
    /// Program and arguments that get JSON on standard input.
    pub command: Vec<String>,
}

/// When runs are made by themselves.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// Time from one round to the next; None if nobody said.
    pub every: Option<Duration>,
    /// What is done in between.
    pub between: Between,
}

/// What is done between two rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Between {
    /// Nothing.
    Wait,
    /// Looks for new events, and acts on complaints and invalid recipients at once.
    FastLane,
}

/// Everything under `[suppression]`.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Lists to keep; never empty.
    pub targets: Vec<Target>,
    /// When they are kept by themselves.
    pub rhythm: Rhythm,
    /// Caps of a run.
    pub caps: Caps,
    /// How far back events are read, in microseconds.
    pub look_back_us: i64,
    /// Soft bounces.
    pub soft: Repeated,
    /// Full mailboxes.
    pub full: Repeated,
    /// Outages.
    pub freeze: FreezeLimits,
    /// Lifetimes by rule, in microseconds; None for ever.
    pub lifetimes: BTreeMap<&'static str, Option<i64>>,
    /// Addresses that are never added.
    pub allow: AllowList,
    /// Tags of test mail.
    pub test_tags: Vec<String>,
    /// Configuration sets of transactional mail.
    pub transactional: Vec<String>,
    /// Rules in SQL.
    pub custom: Vec<CustomRule>,
    /// Built-in rules that are off.
    pub disabled: BTreeSet<String>,
    /// Requests.
    pub requests: Requests,
    /// Alerts.
    pub alerts: Alerts,
}

/// Addresses and whole domains that are never added to a list.
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    addresses: BTreeSet<String>,
    domains: BTreeSet<String>,
}

impl AllowList {
    /// Whether an address is on it.
    #[must_use]
    pub fn holds(&self, recipient: &str) -> bool {
        if self.addresses.contains(recipient) {
            return true;
        }
        recipient.rsplit_once('@').is_some_and(|(_, domain)| self.domains.contains(domain))
    }
}

impl Settings {
    /// Reads and checks `[suppression]`.
    ///
    /// # Errors
    /// [`SettingsError`] with file and line if values contradict each other or name what is not there.
    pub fn of(config: &Config) -> Result<Self, SettingsError> {
        let reading = Reading { config };
        let duration = |name: &str| micros(config.number(&key(name)));
        let count = |failures: &str, window: &str| Repeated {
            failures: config.number(&key(failures)),
            window_us: duration(window),
        };
        let mut lifetimes = BTreeMap::new();
        for rule in RULES {
            if let Some(expiry) = rule.expiry_key {
                lifetimes.insert(rule.name, config.lifetime(&key(expiry)).map(micros));
            }
        }
        Ok(Self {
            targets: reading.targets()?,
            rhythm: reading.rhythm()?,
            caps: Caps {
                max_adds: config.number(&key("max_adds")),
                max_add_share: config.number(&key("max_add_share")),
                max_removals: config.number(&key("max_removals")),
                max_removal_share: config.number(&key("max_removal_share")),
                active_us: duration("active_window"),
            },
            look_back_us: duration("look_back"),
            soft: count("soft_failures", "soft_window"),
            full: count("full_failures", "full_window"),
            freeze: FreezeLimits {
                share: config.number(&key("freeze_share")),
                recipients: config.number(&key("freeze_recipients")),
            },
            lifetimes,
            allow: reading.allow()?,
            test_tags: config.list(&key("test_tags")).to_vec(),
            transactional: config.list(&key("transactional")).to_vec(),
            custom: reading.custom_rules()?,
            disabled: reading.disabled()?,
            requests: Requests {
                single: config.number(&key("single_requests")),
                interval: Duration::from_millis(config.number(&key("request_interval"))),
                give_up: Duration::from_millis(config.number(&key("give_up"))),
                import_wait: Duration::from_millis(config.number(&key("import_wait"))),
                full_listing_us: duration("full_listing"),
            },
            alerts: Alerts {
                webhook: Some(config.text(&key("webhook")))
                    .filter(|url| !url.is_empty())
                    .map(str::to_owned),
                command: config.list(&key("command")).to_vec(),
            },
        })
    }

    /// Whether a built-in rule is on.
    #[must_use]
    pub fn enabled(&self, rule: &str) -> bool {
        !self.disabled.contains(rule)
    }

    /// When what a built-in rule decided at `since_us` ends; None for never.
    #[must_use]
    pub fn expiry(&self, rule: &str, since_us: i64) -> Option<i64> {
        let lifetime = self.lifetimes.get(rule).copied().flatten()?;
        Some(since_us.saturating_add(lifetime))
    }

    /// Tenants that have a list among the targets.
    #[must_use]
    pub fn tenants(&self) -> BTreeSet<&str> {
        self.targets.iter().filter_map(|target| target.tenant.as_deref()).collect()
    }
}

fn key(name: &str) -> String {
    format!("suppression.{name}")
}

fn micros(milliseconds: u64) -> i64 {
    i64::try_from(milliseconds).unwrap_or(i64::MAX).saturating_mul(1_000)
}

struct Reading<'a> {
    config: &'a Config,
}

impl Reading<'_> {
    fn error(&self, name: &str, wrong: impl Into<String>) -> SettingsError {
        let key = key(name);
        let entry = self.config.entries().iter().find(|entry| entry.key.path() == key);
        let place = match entry.map(|entry| &entry.origin) {
            Some(Origin::File(path, line)) => format!("{}:{line}: ", path.display()),
            _ => String::new(),
        };
        SettingsError { place, key, wrong: wrong.into(), hint: None }
    }

    /// The folder that relative paths in the file are relative to.
    fn folder(&self, name: &str) -> PathBuf {
        let key = key(name);
        let entry = self.config.entries().iter().find(|entry| entry.key.path() == key);
        match entry.map(|entry| &entry.origin) {
            Some(Origin::File(path, _)) => path.parent().unwrap_or(Path::new("")).to_owned(),
            _ => PathBuf::new(),
        }
    }

    fn rhythm(&self) -> Result<Rhythm, SettingsError> {
        let every = self.config.lifetime(&key("every")).map(Duration::from_millis);
        if every.is_some_and(|every| every < SHORTEST_ROUND) {
            return Err(self.error("every", "must be at least 1s"));
        }
        let between = match self.config.flag(&key("fast_lane")) {
            true => Between::FastLane,
            false => Between::Wait,
        };
        Ok(Rhythm { every, between })
    }

    fn targets(&self) -> Result<Vec<Target>, SettingsError> {
        let common = Some(self.config.text(&key("import_prefix"))).filter(|uri| !uri.is_empty());
        let common = common.map(str::to_owned);
        self.import_prefix("import_prefix", common.as_deref())?;
        let mut targets = Vec::new();
        for record in self.config.records(&key("targets")) {
            let text = |name: &str| text_of(record, name).map(str::to_owned);
            let target = Target {
                region: text("region"),
                account: text("account"),
                role_arn: text("role_arn"),
                tenant: text("tenant"),
                import_prefix: text("import_prefix").or_else(|| common.clone()),
            };
            self.check(&target)?;
            if targets.contains(&target) {
                return Err(self.error("targets", "names the same list twice"));
            }
            targets.push(target);
        }
        if targets.is_empty() {
            targets.push(Target { import_prefix: common, ..Target::default() });
        }
        Ok(targets)
    }

    fn check(&self, target: &Target) -> Result<(), SettingsError> {
        if let Some(account) = &target.account
            && (account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()))
        {
            return Err(
                self.error("targets", format!("has an account of not 12 digits: {account}"))
            );
        }
        if let Some(role) = &target.role_arn
            && !(role.starts_with("arn:") && role.contains(":role/"))
        {
            let mut error = self.error("targets", format!("has a role_arn that is none: {role}"));
            error.hint = Some("it looks like arn:aws:iam::123456789012:role/hearback".to_owned());
            return Err(error);
        }
        self.import_prefix("targets", target.import_prefix.as_deref())
    }

    fn import_prefix(&self, name: &str, prefix: Option<&str>) -> Result<(), SettingsError> {
        match prefix {
            Some(uri) if !uri.starts_with("s3://") => Err(self.error(
                name,
                format!("has to be s3://bucket/prefix, not {uri}: SES reads import files from S3"),
            )),
            _ => Ok(()),
        }
    }

    fn allow(&self) -> Result<AllowList, SettingsError> {
        let mut allow = AllowList::default();
        for item in self.config.list(&key("allow")) {
            let domain = item.strip_prefix('@').or_else(|| item.strip_prefix("*@"));
            match domain {
                Some(domain) if !domain.is_empty() && !domain.contains('@') => {
                    // Folded as part of an address, so that punycode and case are what events have.
                    let address = folded(&format!("x@{domain}"));
                    let (_, domain) = address.rsplit_once('@').unwrap_or_default();
                    allow.domains.insert(domain.to_owned());
                }
                None if item.contains('@') => {
                    allow.addresses.insert(folded(item));
                }
                _ => {
                    let mut error = self.error(
                        "allow",
                        format!("holds {item:?}, which is neither an address nor an @domain"),
                    );
                    error.hint = Some("write \"ceo@example.com\" or \"@example.com\"".to_owned());
                    return Err(error);
                }
            }
        }
        Ok(allow)
    }

    fn disabled(&self) -> Result<BTreeSet<String>, SettingsError> {
        let mut disabled = BTreeSet::new();
        for name in self.config.list(&key("disabled_rules")) {
            if rule(name).is_none() {
                let mut error = self
                    .error("disabled_rules", format!("names a rule that does not exist: {name}"));
                let near = nearest(name, RULES.iter().map(|rule| rule.name));
                error.hint = Some(match near {
                    Some(near) => format!("did you mean {near}?"),
                    None => "hearback suppression policy lists them".to_owned(),
                });
                return Err(error);
            }
            disabled.insert(name.clone());
        }
        Ok(disabled)
    }

    fn custom_rules(&self) -> Result<Vec<CustomRule>, SettingsError> {
        let folder = self.folder("rules");
        let mut rules: Vec<CustomRule> = Vec::new();
        for record in self.config.records(&key("rules")) {
            let name = text_of(record, "name").unwrap_or_default().to_owned();
            let taken = rule(&name).is_some() || rules.iter().any(|other| other.name == name);
            if taken || name.is_empty() || name.starts_with("import") {
                return Err(self.error("rules", format!("has a rule whose name {name:?} is taken")));
            }
            let sql = match (text_of(record, "sql"), text_of(record, "file")) {
                (Some(sql), None) => sql.to_owned(),
                (None, Some(file)) => {
                    let path = folder.join(file);
                    std::fs::read_to_string(&path).map_err(|error| {
                        let wrong = format!(
                            "names a file that cannot be read: {}: {error}",
                            path.display()
                        );
                        self.error("rules", wrong)
                    })?
                }
                _ => {
                    let wrong = format!("gives the rule {name} not exactly one of sql and file");
                    return Err(self.error("rules", wrong));
                }
            };
            let scope = match text_of(record, "scope") {
                None | Some("everywhere") => Scope::Everywhere,
                Some("local") => Scope::Local,
                Some(other) => {
                    let wrong = format!(
                        "gives the rule {name} the scope {other:?}; it is everywhere or local"
                    );
                    return Err(self.error("rules", wrong));
                }
            };
            let expiry_us = record.iter().find_map(|(field, value)| match value {
                Setting::Milliseconds(milliseconds) if *field == "expiry" => {
                    Some(micros(*milliseconds))
                }
                _ => None,
            });
            rules.push(CustomRule { name, sql, scope, expiry_us });
        }
        Ok(rules)
    }
}
