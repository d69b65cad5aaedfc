//! A topic of an SES contact list: members are the contacts that are opted in to it.
//!
//! Joining writes OPT_IN for the topic, leaving takes the topic's preference away, so an OPT_OUT is
//! always the person's own word, and it is never overwritten: who opted out of the topic or of
//! everything is not opted in again. For that to mean what it says, the topic's default has to be
//! OPT_OUT. UpdateContact replaces all of a contact's preferences, so each contact is read, merged and
//! written right after (Amazon SES developer guide, "Using list management").
//!
//! SES allows one request a second here. Above a number of additions, people who are not on the list yet
//! come by an import job; those who are there are updated one by one all the same, because an import
//! would override what they chose. Attributes are not sent: the list is consent, not data.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::types::{
    ContactListDestination, ContactListImportAction, DataFormat, ImportDataSource,
    ImportDestination, JobStatus, SubscriptionStatus, TopicPreference,
};
use serde_json::{Value, json};

use super::aws_errors::Caller;
use super::import_files::ImportFiles;
use super::{
    Attempts, Delivered, Destination, DestinationError, Manner, Outcome, Publication, Run,
};
use crate::activate::aws::{Place, connect};
use crate::activate::pace::Pace;
use crate::activate::segments::change::{Action, Change};
use crate::activate::segments::definition::ContactListSpec;
use crate::activate::segments::members::ADDRESS;

/// Changes between two notes in the ledger: each takes two seconds.
const BATCH: usize = 20;
/// Contacts of one import job ("Using list management").
const IMPORT_BATCH: usize = 1_000_000;
const PAGE: i32 = 1000;
const POLL_EVERY: Duration = Duration::from_secs(5);
const POLLS: u32 = 2_000;
/// Longest list of failed records that is read.
const FAILURES: usize = 64 << 20;

/// A topic.
pub(super) struct Topic {
    list: String,
    topic: String,
    client: Client,
    caller: Caller,
    imports: Option<ImportFiles>,
    import_above: u64,
    poll_every: Duration,
}

/// What became of one contact.
type Fate = Result<Outcome, DestinationError>;

impl Topic {
    pub(super) async fn open(
        identity: String,
        spec: &ContactListSpec,
        attempts: Attempts,
    ) -> Result<Self, DestinationError> {
        let interval = Duration::from_millis(spec.request_interval_ms);
        let pace = Pace::new(attempts.request_interval(interval), 1);
        let caller = Caller { identity, pace, attempts };
        let place = Place { region: spec.aws.region.clone(), role_arn: spec.aws.role_arn.clone() };
        let config = connect(&place).await.map_err(|reason| caller.refused(reason))?;
        let imports = match &spec.import {
            None => None,
            Some(import) => Some(ImportFiles::open(&caller.identity, &import.uri).await?),
        };
        Ok(Self {
            list: spec.list.clone(),
            topic: spec.topic.clone(),
            client: Client::new(&config),
            poll_every: caller.attempts.poll_interval(POLL_EVERY),
            caller,
            imports,
            import_above: spec.import_above,
        })
    }

    fn preference(&self, status: SubscriptionStatus) -> Option<TopicPreference> {
        // Both members are given, which is all that can be missing.
        TopicPreference::builder().topic_name(&self.topic).subscription_status(status).build().ok()
    }

    /// Opts a contact in, unless it opted out.
    async fn join(&self, address: &str) -> Fate {
        // It may come about between looking and making it, also by a try of our own whose answer got
        // lost: then it is looked at once more.
        for _ in 0..2 {
            if let Some(outcome) = self.join_as_it_is(address).await? {
                return Ok(outcome);
            }
        }
        Ok(Outcome::Failed("the contact comes and goes".to_owned()))
    }

    /// The same; None if the contact came about meanwhile.
    async fn join_as_it_is(&self, address: &str) -> Result<Option<Outcome>, DestinationError> {
        let contact = self
            .caller
            .call(|| {
                self.client
                    .get_contact()
                    .contact_list_name(&self.list)
                    .email_address(address)
                    .send()
            })
            .await?;
        let contact = match contact {
            Ok(contact) => contact,
            Err(error) if error.is_missing() => return self.create(address).await,
            Err(error) => return self.verdict(&error).map(Some),
        };
        if contact.unsubscribe_all() {
            return Ok(Some(Outcome::Declined("unsubscribed from the whole list".to_owned())));
        }
        let mut preferences = contact.topic_preferences().to_vec();
        let own = preferences.iter().find(|preference| preference.topic_name() == self.topic);
        match own.map(TopicPreference::subscription_status) {
            Some(SubscriptionStatus::OptIn) => return Ok(Some(Outcome::Done)),
            Some(SubscriptionStatus::OptOut) => {
                return Ok(Some(Outcome::Declined("opted out of the topic".to_owned())));
            }
            _ => {}
        }
        preferences.extend(self.preference(SubscriptionStatus::OptIn));
        let attributes = contact.attributes_data().map(str::to_owned);
        self.update(address, preferences, attributes).await.map(Some)
    }

    /// Takes the topic's preference away. An opt-out stays.
    async fn leave(&self, address: &str) -> Fate {
        let contact = self
            .caller
            .call(|| {
                self.client
                    .get_contact()
                    .contact_list_name(&self.list)
                    .email_address(address)
                    .send()
            })
            .await?;
        let contact = match contact {
            Ok(contact) => contact,
            // Who is not there is not in.
            Err(error) if error.is_missing() => return Ok(Outcome::Done),
            Err(error) => return self.verdict(&error),
        };
        let mut preferences = contact.topic_preferences().to_vec();
        let before = preferences.len();
        preferences.retain(|preference| {
            preference.topic_name() != self.topic
                || *preference.subscription_status() != SubscriptionStatus::OptIn
        });
        if preferences.len() == before {
            return Ok(Outcome::Done);
        }
        self.update(address, preferences, contact.attributes_data().map(str::to_owned)).await
    }

    /// Makes a contact that is opted in; None if it is there already.
    async fn create(&self, address: &str) -> Result<Option<Outcome>, DestinationError> {
        let created = self
            .caller
            .call(|| {
                self.client
                    .create_contact()
                    .contact_list_name(&self.list)
                    .email_address(address)
                    .set_topic_preferences(
                        self.preference(SubscriptionStatus::OptIn)
                            .map(|preference| vec![preference]),
                    )
                    .send()
            })
            .await?;
        match created {
            Ok(_) => Ok(Some(Outcome::Done)),
            Err(error) if error.code == "AlreadyExistsException" => Ok(None),
            Err(error) => self.verdict(&error).map(Some),
        }
    }

    async fn update(
        &self,
        address: &str,
        preferences: Vec<TopicPreference>,
        attributes: Option<String>,
    ) -> Fate {
        let updated = self
            .caller
            .call(|| {
                self.client
                    .update_contact()
                    .contact_list_name(&self.list)
                    .email_address(address)
                    .set_topic_preferences(Some(preferences.clone()))
                    .set_attributes_data(attributes.clone())
                    .send()
            })
            .await?;
        match updated {
            Ok(_) => Ok(Outcome::Done),
            Err(error) => self.verdict(&error),
        }
    }

    /// A request about one contact that was refused: the contact's fault, or everybody's.
    fn verdict(&self, error: &super::aws_errors::AwsError) -> Fate {
        if error.status == Some(400) || error.is_missing() {
            return Ok(Outcome::Failed(error.reason()));
        }
        Err(self.caller.refused(error.reason()))
    }

    async fn one(&self, run: &Run, change: &Change) -> Result<Delivered, DestinationError> {
        let Some(address) = address_of(run, change) else {
            return Ok(Delivered::failed("it has no address", None));
        };
        let outcome = match change.action {
            Action::Add | Action::Refresh => self.join(&address).await?,
            Action::Remove => self.leave(&address).await?,
            // Attributes are not sent.
            Action::Change => Outcome::Done,
        };
        Ok(Delivered { outcome, request_id: None })
    }

    /// Everybody on the list, whatever they chose.
    async fn known(&self) -> Result<HashSet<String>, DestinationError> {
        let mut known = HashSet::new();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .caller
                .call(|| {
                    self.client
                        .list_contacts()
                        .contact_list_name(&self.list)
                        .page_size(PAGE)
                        .set_next_token(token.clone())
                        .send()
                })
                .await?
                .map_err(|error| {
                    self.caller.refused(format!("ListContacts: {}", error.reason()))
                })?;
            for contact in page.contacts() {
                known.extend(contact.email_address().map(str::to_lowercase));
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(known);
            }
        }
    }

    /// Brings people who are not on the list yet by one job.
    async fn import(
        &self,
        run: &Run,
        files: &ImportFiles,
        addresses: &[String],
    ) -> Result<Vec<Delivered>, DestinationError> {
        let mut lines = String::new();
        for address in addresses {
            let preference = json!({"topicName": self.topic, "subscriptionStatus": "OPT_IN"});
            let line = json!({"emailAddress": address, "topicPreferences": [preference]});
            lines.push_str(&line.to_string());
            lines.push('\n');
        }
        let url = files.lay(run, "json", lines).await?;
        let invalid = |error: aws_smithy_types::error::operation::BuildError| {
            self.caller.refused(error.to_string())
        };
        let list = ContactListDestination::builder()
            .contact_list_name(&self.list)
            .contact_list_import_action(ContactListImportAction::Put)
            .build()
            .map_err(invalid)?;
        let destination = ImportDestination::builder().contact_list_destination(list).build();
        let source = ImportDataSource::builder()
            .s3_url(&url)
            .data_format(DataFormat::Json)
            .build()
            .map_err(invalid)?;
        let job = self
            .caller
            .call(|| {
                self.client
                    .create_import_job()
                    .import_destination(destination.clone())
                    .import_data_source(source.clone())
                    .send()
            })
            .await?
            .map_err(|error| self.caller.refused(format!("CreateImportJob: {}", error.reason())))?;
        let id = job.job_id.unwrap_or_default();
        for _ in 0..POLLS {
            let job = self
                .caller
                .call(|| self.client.get_import_job().job_id(&id).send())
                .await?
                .map_err(|error| {
                self.caller.refused(format!("GetImportJob: {}", error.reason()))
            })?;
            match job.job_status() {
                Some(JobStatus::Completed) => {
                    let count =
                        |count: Option<i32>| usize::try_from(count.unwrap_or(0)).unwrap_or(0);
                    let processed = count(job.processed_records_count());
                    let failed = count(job.failed_records_count());
                    let list = job.failure_info().and_then(|info| info.failed_records_s3_url());
                    let said = match list {
                        Some(url) if failed > 0 => fetch(url).await,
                        _ => String::new(),
                    };
                    return Ok(imported(addresses, &id, (processed, failed), &said));
                }
                Some(JobStatus::Failed | JobStatus::Cancelled) => {
                    let why = job.failure_info().and_then(|info| info.error_message());
                    let why = super::without_addresses(why.unwrap_or_default());
                    return Err(self.caller.refused(format!("the import job {id} failed: {why}")));
                }
                _ => tokio::time::sleep(self.poll_every).await,
            }
        }
        Err(DestinationError::Unavailable {
            destination: self.caller.identity.clone(),
            reason: format!("the import job {id} does not end"),
        })
    }

    /// Many additions: newcomers by a job, everybody else one by one.
    async fn many(
        &self,
        run: &Run,
        batch: &[Change],
        files: &ImportFiles,
    ) -> Result<Vec<Delivered>, DestinationError> {
        let known = self.known().await?;
        let mut newcomers = Vec::new();
        let mut places = Vec::new();
        let mut delivered: Vec<Option<Delivered>> = vec![None; batch.len()];
        for (place, change) in batch.iter().enumerate() {
            if let Some(address) = address_of(run, change)
                && matches!(change.action, Action::Add | Action::Refresh)
                && !known.contains(&address.to_lowercase())
            {
                newcomers.push(address);
                places.push(place);
            }
        }
        if !newcomers.is_empty() {
            let outcomes = self.import(run, files, &newcomers).await?;
            for (place, outcome) in places.into_iter().zip(outcomes) {
                delivered[place] = Some(outcome);
            }
        }
        let mut all = Vec::with_capacity(batch.len());
        for (change, known) in batch.iter().zip(delivered) {
            all.push(match known {
                Some(delivered) => delivered,
                None => self.one(run, change).await?,
            });
        }
        Ok(all)
    }
}

/// What became of each address of a job that ended. When fewer are told than failed, all count as
/// failed: next time those that did come are found on the list.
fn imported(
    addresses: &[String],
    id: &str,
    (processed, failed): (usize, usize),
    said: &str,
) -> Vec<Delivered> {
    let said = said.to_lowercase();
    let refused: HashSet<&str> = said
        .split([',', '"', '\n', '\r', ' ', ':', '{', '}'])
        .filter(|word| word.contains('@'))
        .collect();
    let named = |address: &String| refused.contains(address.to_lowercase().as_str());
    let told = addresses.iter().filter(|address| named(address)).count();
    // SES counts failed records among the processed ones or beside them; both are accepted.
    let incomplete = processed.max(processed + failed) < addresses.len() || told < failed;
    let id = Some(id.to_owned());
    let outcomes = addresses.iter().map(|address| {
        if named(address) {
            return Delivered::failed("the import job refused the record", id.clone());
        }
        if incomplete {
            let reason = format!(
                "the import job read {processed} of {} records, {failed} failed",
                addresses.len()
            );
            return Delivered::failed(reason, id.clone());
        }
        Delivered::done(id.clone())
    });
    outcomes.collect()
}

/// The list of failed records behind a signed URL; empty if it cannot be had.
async fn fetch(url: &str) -> String {
    let Ok(mut response) = reqwest::get(url).await else { return String::new() };
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        if body.len() + piece.len() > FAILURES {
            break;
        }
        body.extend_from_slice(&piece);
    }
    String::from_utf8_lossy(&body).into_owned()
}

fn address_of(run: &Run, change: &Change) -> Option<String> {
    if run.key == ADDRESS {
        return Some(change.member.clone());
    }
    match change.values().remove(ADDRESS) {
        Some(Value::String(address)) => Some(address),
        _ => None,
    }
}

#[async_trait]
impl Destination for Topic {
    fn manner(&self, changes: u64) -> Manner {
        if self.imports.is_some() && changes > self.import_above {
            return Manner::Batches { changes: IMPORT_BATCH, at_once: 1 };
        }
        Manner::Batches { changes: BATCH, at_once: 1 }
    }

    async fn prepare(&mut self, run: &Run) -> Result<(), DestinationError> {
        let list = self
            .caller
            .call(|| self.client.get_contact_list().contact_list_name(&self.list).send())
            .await?;
        let was_there = run.acknowledged.is_some();
        let list = match list {
            Ok(list) => list,
            Err(error) if error.is_missing() => {
                let reason = format!("there is no contact list {}", self.list);
                return Err(self.caller.missing(was_there, reason));
            }
            Err(error) => {
                return Err(self.caller.refused(format!("GetContactList: {}", error.reason())));
            }
        };
        let topic = list.topics().iter().find(|topic| topic.topic_name() == self.topic);
        let Some(topic) = topic else {
            let reason = format!("the contact list {} has no topic {}", self.list, self.topic);
            return Err(self.caller.missing(was_there, reason));
        };
        if *topic.default_subscription_status() != SubscriptionStatus::OptOut {
            return Err(self.caller.refused(format!(
                "the topic {} is on for everybody by default; set its default to OPT_OUT, so that only members get it",
                self.topic
            )));
        }
        Ok(())
    }

    async fn deliver(
        &self,
        run: &Run,
        batch: &[Change],
    ) -> Result<Vec<Delivered>, DestinationError> {
        if let Some(files) = &self.imports
            && run.counts.changes() > self.import_above
        {
            return self.many(run, batch, files).await;
        }
        let mut delivered = Vec::with_capacity(batch.len());
        for change in batch {
            delivered.push(self.one(run, change).await?);
        }
        Ok(delivered)
    }

    async fn publish(
        &mut self,
        _: &Run,
        _: Publication<'_>,
    ) -> Result<Option<String>, DestinationError> {
        Ok(None)
    }
}
