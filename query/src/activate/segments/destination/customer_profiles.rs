//! Amazon Connect Customer Profiles: membership is an attribute of profiles, carried by one state object
//! for each member and segment.
//!
//! The object type (made if it is not there) has a unique key `hearback_id` (segment and member), so an
//! object that comes again replaces the one before; a profile is found, or made, by e-mail address or,
//! for other keys, by account number. Members have the profile attribute `segment_<name>` with the value
//! `in`; who leaves has it set to the empty text, which clears it. A segment definition of the segment's
//! name is made once, on that attribute: definitions cannot be changed, and people move by attribute.
//!
//! Objects go ten a batch, of which some may fail under HTTP 200; those are tried again alone, or
//! reported. Above a number of additions an upload job takes the CSV instead; what it fails on is counted
//! but not told, so then everybody of that job counts as failed and comes again. Whoever leaves always
//! goes by batch: an empty field of an upload clears nothing.
//!
//! Profiles expire (uploads after 14 days unless told otherwise); the expiry is always given, and
//! members are sent again at half of it. Limits are those of the API model and of "Connect Customer
//! service quotas".

mod upload;

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_customerprofiles::Client;
use aws_sdk_customerprofiles::operation::RequestId;
use aws_sdk_customerprofiles::types::{
    AttributeDimension, AttributeDimensionType, BatchPutProfileObjectRequestItem, Dimension,
    FieldContentType, Group, IncludeOptions, ObjectTypeField, ObjectTypeKey, ProfileAttributes,
    SegmentGroup, StandardIdentifier,
};
use serde_json::{Map, Value};

use super::aws_errors::Caller;
use super::{
    Attempts, Delivered, Destination, DestinationError, Manner, Publication, Run, without_addresses,
};
use crate::activate::aws::{Place, connect};
use crate::activate::pace::Pace;
use crate::activate::segments::change::{Action, Change, identity_of};
use crate::activate::segments::definition::CustomerProfilesSpec;
use crate::activate::segments::members::ADDRESS;

/// Objects of one BatchPutProfileObject.
const BATCH: usize = 10;
const AT_ONCE: usize = 4;
/// Ten requests a second: the rate of BatchPutProfileObject is not published; ten batches of ten are
/// the 100 objects a second that PutProfileObject takes.
const INTERVAL: Duration = Duration::from_millis(100);
/// Rows of one upload, far below its limit of 1 GB.
const UPLOAD_BATCH: usize = 500_000;
/// Rounds in which objects that failed for now are tried again.
const ROUNDS: u32 = 4;
/// Longest value of a profile's attribute.
const VALUE_LENGTH: usize = 255;
const MEMBER: &str = "in";
const ID: &str = "hearback_id";
const USER: &str = "user_id";

/// A domain.
pub(super) struct Domain {
    spec: CustomerProfilesSpec,
    client: Client,
    caller: Caller,
    http: reqwest::Client,
    poll_every: Duration,
}

/// The state of one member, as the object type has it.
type State = Map<String, Value>;

impl Domain {
    pub(super) async fn open(
        identity: String,
        spec: &CustomerProfilesSpec,
        attempts: Attempts,
    ) -> Result<Self, DestinationError> {
        let pace = Pace::new(attempts.request_interval(INTERVAL), 4);
        let caller = Caller { identity, pace, attempts };
        let place = Place { region: spec.aws.region.clone(), role_arn: spec.aws.role_arn.clone() };
        let config = connect(&place).await.map_err(|reason| caller.refused(reason))?;
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(600))
            .build()
            .map_err(|error| caller.refused(error.without_url().to_string()))?;
        Ok(Self {
            spec: spec.clone(),
            client: Client::new(&config),
            poll_every: caller.attempts.poll_interval(upload::POLL_EVERY),
            caller,
            http,
        })
    }

    /// Makes the object type, or adds the fields that this segment brings.
    async fn prepare_object_type(&self, run: &Run) -> Result<(), DestinationError> {
        let (domain, name) = (&self.spec.domain, &self.spec.object_type);
        let found = self
            .caller
            .call(|| {
                let call = self.client.get_profile_object_type().domain_name(domain);
                call.object_type_name(name).send()
            })
            .await?;
        let found = match found {
            Ok(found) => Some(found),
            Err(error) if error.is_missing() => None,
            Err(error) => {
                return Err(self
                    .caller
                    .refused(format!("GetProfileObjectType: {}", error.reason())));
            }
        };
        let mut fields: HashMap<String, ObjectTypeField> = HashMap::new();
        let mut keys: HashMap<String, Vec<ObjectTypeKey>> = HashMap::new();
        let mut description = "Membership in segments, kept by hearback".to_owned();
        let mut expiry = i32::try_from(self.spec.expiry_days).unwrap_or(i32::MAX);
        // A type that somebody else made keeps what it says beyond fields and keys.
        let (mut encryption_key, mut time_format, mut max_count) = (None, None, None);
        if let Some(found) = found {
            description = found.description;
            expiry = expiry.max(found.expiration_days.unwrap_or(0));
            encryption_key = found.encryption_key;
            time_format = found.source_last_updated_timestamp_format;
            max_count = found.max_profile_object_count;
            fields = found.fields.unwrap_or_default();
            keys = found.keys.unwrap_or_default();
        }
        let before = (fields.len(), keys.len());
        for (name, target) in targets(run) {
            fields.entry(name.clone()).or_insert_with(|| field_of(&name, target));
        }
        keys.entry("hearbackId".to_owned())
            .or_insert_with(|| key_of(ID, StandardIdentifier::Unique));
        let (profile_key, column) = profile_key(run);
        keys.entry(profile_key.to_owned())
            .or_insert_with(|| key_of(column, StandardIdentifier::Profile));
        if before == (fields.len(), keys.len()) {
            return Ok(());
        }
        self.caller
            .call(|| {
                self.client
                    .put_profile_object_type()
                    .domain_name(domain)
                    .object_type_name(name)
                    .description(&description)
                    .expiration_days(expiry)
                    .allow_profile_creation(true)
                    .set_encryption_key(encryption_key.clone())
                    .set_source_last_updated_timestamp_format(time_format.clone())
                    .set_max_profile_object_count(max_count)
                    .set_fields(Some(fields.clone()))
                    .set_keys(Some(keys.clone()))
                    .send()
            })
            .await?
            .map(|_| ())
            .map_err(|error| {
                self.caller.refused(format!("PutProfileObjectType: {}", error.reason()))
            })
    }

    /// Makes the segment definition, if it is not there.
    async fn prepare_segment(&self, run: &Run) -> Result<(), DestinationError> {
        let domain = &self.spec.domain;
        let found = self
            .caller
            .call(|| {
                let call = self.client.get_segment_definition().domain_name(domain);
                call.segment_definition_name(&run.segment).send()
            })
            .await?;
        match found {
            Ok(_) => return Ok(()),
            Err(error) if error.is_missing() => {}
            Err(error) => {
                return Err(self
                    .caller
                    .refused(format!("GetSegmentDefinition: {}", error.reason())));
            }
        }
        let invalid = |error: aws_smithy_types::error::operation::BuildError| {
            self.caller.refused(error.to_string())
        };
        let is_in = AttributeDimension::builder()
            .dimension_type(AttributeDimensionType::Inclusive)
            .values(MEMBER)
            .build()
            .map_err(invalid)?;
        let attributes =
            ProfileAttributes::builder().attributes(attribute_of(&run.segment), is_in).build();
        let group = Group::builder()
            .dimensions(Dimension::ProfileAttributes(attributes))
            .source_type(IncludeOptions::All)
            .r#type(IncludeOptions::All)
            .build();
        let groups = SegmentGroup::builder().groups(group).include(IncludeOptions::All).build();
        let created = self
            .caller
            .call(|| {
                self.client
                    .create_segment_definition()
                    .domain_name(domain)
                    .segment_definition_name(&run.segment)
                    .display_name(&run.segment)
                    .segment_groups(groups.clone())
                    .send()
            })
            .await?;
        created.map(|_| ()).map_err(|error| {
            self.caller.refused(format!("CreateSegmentDefinition: {}", error.reason()))
        })
    }

    /// Sends states by batches of ten; those that fail for now are sent again, alone.
    async fn put(
        &self,
        run: &Run,
        states: &[(&Change, State)],
    ) -> Result<Vec<Delivered>, DestinationError> {
        let mut delivered: Vec<Delivered> = vec![Delivered::failed("", None); states.len()];
        let ids: Vec<String> =
            states.iter().map(|(change, _)| identity_of(&[&run.segment, &change.member])).collect();
        let place_of: HashMap<&str, usize> =
            ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
        let mut open: Vec<usize> = (0..states.len()).collect();
        for round in 0..ROUNDS {
            let mut again = Vec::new();
            for part in open.chunks(BATCH) {
                let mut items = Vec::with_capacity(part.len());
                for place in part {
                    let object = Value::Object(states[*place].1.clone()).to_string();
                    let item =
                        BatchPutProfileObjectRequestItem::builder().id(&ids[*place]).object(object);
                    items.push(
                        item.build().map_err(|error| self.caller.refused(error.to_string()))?,
                    );
                }
                let answer = self
                    .caller
                    .call(|| {
                        self.client
                            .batch_put_profile_object()
                            .domain_name(&self.spec.domain)
                            .object_type_name(&self.spec.object_type)
                            .set_items(Some(items.clone()))
                            .send()
                    })
                    .await?
                    .map_err(|error| {
                        if error.is_missing() {
                            return self.caller.missing(true, "the domain or object type is gone");
                        }
                        self.caller.refused(format!("BatchPutProfileObject: {}", error.reason()))
                    })?;
                let request_id = answer.request_id().map(str::to_owned);
                for item in answer.successful() {
                    if let Some(place) = place_of.get(item.id()) {
                        delivered[*place] = Delivered::done(request_id.clone());
                    }
                }
                for item in answer.failed() {
                    let Some(place) = place_of.get(item.id()) else { continue };
                    let message = without_addresses(item.message().unwrap_or_default());
                    let reason = format!("{} {message}", item.code());
                    delivered[*place] = Delivered::failed(reason, request_id.clone());
                    if item.code() == 429 || item.code() >= 500 {
                        again.push(*place);
                    }
                }
                for place in part {
                    if delivered[*place] == Delivered::failed("", None) {
                        delivered[*place] =
                            Delivered::failed("nothing was said of it", request_id.clone());
                        again.push(*place);
                    }
                }
            }
            if again.is_empty() || round + 1 == ROUNDS {
                break;
            }
            self.caller.attempts.rest(round).await;
            again.sort_unstable();
            again.dedup();
            open = again;
        }
        Ok(delivered)
    }
}

/// The fields of an object, and where in the profile each goes.
fn targets(run: &Run) -> Vec<(String, String)> {
    let mut targets = vec![(ID.to_owned(), String::new())];
    let attribute = |name: &str| format!("_profile.Attributes.{name}");
    if run.key == ADDRESS || run.attributes.iter().any(|column| column.name == ADDRESS) {
        targets.push((ADDRESS.to_owned(), "_profile.EmailAddress".to_owned()));
    }
    if run.key != ADDRESS {
        targets.push((USER.to_owned(), "_profile.AccountNumber".to_owned()));
    }
    let membership = attribute_of(&run.segment);
    targets.push((membership.clone(), attribute(&membership)));
    for column in &run.attributes {
        if column.name != ADDRESS {
            targets.push((column.name.clone(), attribute(&column.name)));
        }
    }
    targets
}

fn field_of(name: &str, target: String) -> ObjectTypeField {
    let content = match name {
        ADDRESS => FieldContentType::EmailAddress,
        _ => FieldContentType::String,
    };
    let field = ObjectTypeField::builder().source(format!("_source.{name}")).content_type(content);
    if target.is_empty() { field.build() } else { field.target(target).build() }
}

fn key_of(field: &str, identifier: StandardIdentifier) -> Vec<ObjectTypeKey> {
    vec![ObjectTypeKey::builder().standard_identifiers(identifier).field_names(field).build()]
}

/// The key by which a profile is found, and the field that has it.
fn profile_key(run: &Run) -> (&'static str, &'static str) {
    if run.key == ADDRESS { ("_email", ADDRESS) } else { ("_account", USER) }
}

/// The attribute that says who is in a segment.
fn attribute_of(segment: &str) -> String {
    format!("segment_{}", segment.replace('-', "_"))
}

/// The state of a member after a change; an error says why a profile would not take it.
fn state_of(run: &Run, change: &Change) -> Result<State, String> {
    let mut state = State::new();
    state.insert(ID.to_owned(), Value::from(format!("{}/{}", run.segment, change.member)));
    let key = if run.key == ADDRESS { ADDRESS } else { USER };
    state.insert(key.to_owned(), Value::from(change.member.as_str()));
    let is_in = if change.action == Action::Remove { "" } else { MEMBER };
    for (name, value) in change.values() {
        let text = match value {
            // The empty text clears an attribute.
            Value::Null => String::new(),
            Value::String(text) => text,
            other => other.to_string(),
        };
        if text.chars().count() > VALUE_LENGTH {
            return Err(format!("the attribute {name} is longer than {VALUE_LENGTH} characters"));
        }
        state.insert(name, Value::from(text));
    }
    state.insert(attribute_of(&run.segment), Value::from(is_in));
    Ok(state)
}

#[async_trait]
impl Destination for Domain {
    fn manner(&self, changes: u64) -> Manner {
        if changes > self.spec.upload_above {
            return Manner::Batches { changes: UPLOAD_BATCH, at_once: 1 };
        }
        Manner::Batches { changes: BATCH, at_once: AT_ONCE }
    }

    async fn prepare(&mut self, run: &Run) -> Result<(), DestinationError> {
        let domain = &self.spec.domain;
        let found =
            self.caller.call(|| self.client.get_domain().domain_name(domain).send()).await?;
        match found {
            Ok(_) => {}
            Err(error) if error.is_missing() => {
                let reason = format!("there is no domain {domain}");
                return Err(self.caller.missing(run.acknowledged.is_some(), reason));
            }
            Err(error) => {
                return Err(self.caller.refused(format!("GetDomain: {}", error.reason())));
            }
        }
        self.prepare_object_type(run).await?;
        self.prepare_segment(run).await
    }

    async fn deliver(
        &self,
        run: &Run,
        batch: &[Change],
    ) -> Result<Vec<Delivered>, DestinationError> {
        let mut delivered: Vec<Option<Delivered>> = vec![None; batch.len()];
        let (mut by_batch, mut by_upload) = (Vec::new(), Vec::new());
        let (mut batch_places, mut upload_places) = (Vec::new(), Vec::new());
        let uploads = run.counts.changes() > self.spec.upload_above;
        for (place, change) in batch.iter().enumerate() {
            match state_of(run, change) {
                Err(reason) => delivered[place] = Some(Delivered::failed(reason, None)),
                Ok(state) if uploads && change.action != Action::Remove => {
                    by_upload.push((change, state));
                    upload_places.push(place);
                }
                Ok(state) => {
                    by_batch.push((change, state));
                    batch_places.push(place);
                }
            }
        }
        if !by_upload.is_empty() {
            let outcomes = self.upload(run, &by_upload).await?;
            for (place, outcome) in upload_places.into_iter().zip(outcomes) {
                delivered[place] = Some(outcome);
            }
        }
        let outcomes = self.put(run, &by_batch).await?;
        for (place, outcome) in batch_places.into_iter().zip(outcomes) {
            delivered[place] = Some(outcome);
        }
        let unknown = || Delivered::failed("nothing was said of it", None);
        Ok(delivered.into_iter().map(|known| known.unwrap_or_else(unknown)).collect())
    }

    async fn publish(
        &mut self,
        _: &Run,
        _: Publication<'_>,
    ) -> Result<Option<String>, DestinationError> {
        Ok(None)
    }
}
