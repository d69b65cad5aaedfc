//! Amazon Pinpoint, or what still speaks its API: membership is an attribute of endpoints.
//!
//! Each member is an endpoint of the channel EMAIL with an id that is made of the key (or is the
//! attribute `endpoint_id`, for endpoints that were there before). Members have the attribute
//! `segment_<name>` with the value `in`; who leaves has it emptied. A dynamic segment of the segment's
//! name is made once, on that attribute. Address, opt-out and status of people are Pinpoint's business
//! and are not touched beyond the address.
//!
//! Limits: 100 endpoints and 7 MB a batch, attribute names of 50 and values of 100 characters
//! (Pinpoint quotas). AWS's own service ended on 2026-10-30; asked for without an endpoint of one's own,
//! this says so.

use std::time::Duration;

use async_trait::async_trait;
use aws_config::SdkConfig;
use aws_sdk_pinpoint::Client;
use aws_sdk_pinpoint::types::{
    AttributeDimension, AttributeType, ChannelType, EndpointBatchItem, EndpointBatchRequest,
    EndpointUser, Format, ImportJobRequest, JobStatus, SegmentDimensions, WriteSegmentRequest,
};
use serde_json::{Value, json};

use super::aws_errors::Caller;
use super::import_files::ImportFiles;
use super::{
    Attempts, Delivered, Destination, DestinationError, Manner, Publication, Run, without_addresses,
};
use crate::activate::aws::{Place, connect};
use crate::activate::pace::Pace;
use crate::activate::segments::change::{Action, Change, identity_of};
use crate::activate::segments::definition::PinpointSpec;
use crate::activate::segments::members::ADDRESS;

/// Endpoints of one batch.
const BATCH: usize = 100;
/// Bytes of one batch; the limit is 7 MB for the request with everything around.
const BATCH_BYTES: usize = 6 << 20;
/// Endpoints of one import file, far below the limit of 1 GB.
const IMPORT_BATCH: usize = 500_000;
const AT_ONCE: usize = 4;
/// Fifty requests a second, far below the quota of 5,000.
const INTERVAL: Duration = Duration::from_millis(20);
const POLL_EVERY: Duration = Duration::from_secs(5);
/// A job that takes longer is taken to hang.
const POLLS: u32 = 720;
const NAME_LENGTH: usize = 50;
const VALUE_LENGTH: usize = 100;

const ENDED: &str = "Amazon Pinpoint's engagement service ended on 2026-10-30. Send the segment to \
    customer-profiles, ses-contact-list or s3 instead (docs/migrating-from-pinpoint.md); if something \
    else of yours speaks its API, name it in AWS_ENDPOINT_URL_PINPOINT";

/// An application.
pub(super) struct Application {
    id: String,
    client: Client,
    caller: Caller,
    imports: Option<(ImportFiles, String)>,
    import_above: u64,
    poll_every: Duration,
}

impl Application {
    pub(super) async fn open(
        identity: String,
        spec: &PinpointSpec,
        attempts: Attempts,
    ) -> Result<Self, DestinationError> {
        let caller = Caller { identity, pace: Pace::new(INTERVAL, 4), attempts };
        let place = Place { region: spec.aws.region.clone(), role_arn: spec.aws.role_arn.clone() };
        let config = connect(&place).await.map_err(|reason| caller.refused(reason))?;
        if is_aws_itself(&config) {
            return Err(DestinationError::Retired {
                destination: caller.identity,
                reason: ENDED.to_owned(),
            });
        }
        let imports = match &spec.import {
            None => None,
            Some(import) => {
                let files = ImportFiles::open(&caller.identity, &import.uri).await?;
                Some((files, import.role_arn.clone().unwrap_or_default()))
            }
        };
        Ok(Self {
            id: spec.application.clone(),
            client: Client::new(&config),
            poll_every: caller.attempts.poll_interval(POLL_EVERY),
            caller,
            imports,
            import_above: spec.import_above,
        })
    }

    /// The dynamic segment of that name, if there is one.
    async fn find_segment(&self, name: &str) -> Result<bool, DestinationError> {
        let mut token: Option<String> = None;
        loop {
            let page = self
                .caller
                .call(|| {
                    let request = self.client.get_segments().application_id(&self.id);
                    request.set_token(token.clone()).page_size("100").send()
                })
                .await?
                .map_err(|error| self.caller.refused(error.reason()))?;
            let Some(page) = page.segments_response else { return Ok(false) };
            if page.item().iter().any(|segment| segment.name() == Some(name)) {
                return Ok(true);
            }
            token = page.next_token;
            if token.is_none() {
                return Ok(false);
            }
        }
    }

    async fn create_segment(&self, run: &Run) -> Result<(), DestinationError> {
        let is_in = AttributeDimension::builder()
            .attribute_type(AttributeType::Inclusive)
            .values(MEMBER)
            .build();
        let dimensions =
            SegmentDimensions::builder().attributes(attribute_of(&run.segment), is_in).build();
        let request =
            WriteSegmentRequest::builder().name(&run.segment).dimensions(dimensions).build();
        self.caller
            .call(|| {
                let call = self.client.create_segment().application_id(&self.id);
                call.write_segment_request(request.clone()).send()
            })
            .await?
            .map(|_| ())
            .map_err(|error| self.caller.refused(format!("CreateSegment: {}", error.reason())))
    }

    /// Sends endpoints. A batch that is refused is halved, so that one bad endpoint takes none with it.
    async fn update(
        &self,
        endpoints: &[Endpoint],
    ) -> Result<Vec<Result<Option<String>, String>>, DestinationError> {
        let mut outcomes = Vec::with_capacity(endpoints.len());
        let mut open = vec![endpoints];
        while let Some(part) = open.pop() {
            if part.is_empty() {
                continue;
            }
            let items: Vec<EndpointBatchItem> = part.iter().map(Endpoint::item).collect();
            let request = EndpointBatchRequest::builder().set_item(Some(items)).build();
            let answer = self
                .caller
                .call(|| {
                    let call = self.client.update_endpoints_batch().application_id(&self.id);
                    call.endpoint_batch_request(request.clone()).send()
                })
                .await?;
            match answer {
                Ok(answer) => {
                    let id = answer.message_body.and_then(|body| body.request_id);
                    outcomes.extend(part.iter().map(|_| Ok(id.clone())));
                }
                Err(error) if error.is_missing() => {
                    return Err(self.caller.missing(true, "the application is gone"));
                }
                Err(error) if matches!(error.status, Some(400 | 413)) && part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    // The first half is on top, so outcomes come in order.
                    open.push(second);
                    open.push(first);
                }
                Err(error) if matches!(error.status, Some(400 | 413)) => {
                    outcomes.push(Err(error.reason()));
                }
                Err(error) => return Err(self.caller.refused(error.reason())),
            }
        }
        Ok(outcomes)
    }

    /// Sends endpoints by an import job.
    async fn import(
        &self,
        run: &Run,
        endpoints: &[Endpoint],
        (files, role): (&ImportFiles, &str),
    ) -> Result<Vec<Result<Option<String>, String>>, DestinationError> {
        let mut lines = String::new();
        for endpoint in endpoints {
            lines.push_str(&endpoint.json().to_string());
            lines.push('\n');
        }
        let url = files.lay(run, "json", lines).await?;
        let request = ImportJobRequest::builder()
            .format(Format::Json)
            .s3_url(&url)
            .role_arn(role)
            .register_endpoints(true)
            .define_segment(false)
            .build();
        let job = self
            .caller
            .call(|| {
                let call = self.client.create_import_job().application_id(&self.id);
                call.import_job_request(request.clone()).send()
            })
            .await?
            .map_err(|error| self.caller.refused(format!("CreateImportJob: {}", error.reason())))?;
        let id = job.import_job_response.and_then(|job| job.id).unwrap_or_default();
        for _ in 0..POLLS {
            let job = self
                .caller
                .call(|| {
                    let call = self.client.get_import_job().application_id(&self.id);
                    call.job_id(&id).send()
                })
                .await?
                .map_err(|error| {
                    self.caller.refused(format!("GetImportJob: {}", error.reason()))
                })?;
            let Some(job) = job.import_job_response else { break };
            match job.job_status() {
                Some(JobStatus::Completed) => return Ok(imported(&job, endpoints, &id)),
                Some(JobStatus::Failed) => {
                    let failures = without_addresses(&job.failures().join("; "));
                    return Err(self
                        .caller
                        .refused(format!("the import job {id} failed: {failures}")));
                }
                _ => tokio::time::sleep(self.poll_every).await,
            }
        }
        Err(DestinationError::Unavailable {
            destination: self.caller.identity.clone(),
            reason: format!("the import job {id} does not end"),
        })
    }
}

/// What became of each endpoint of a job that ended. Failures are listed up to a hundred; when there
/// are more than can be told apart, all count as failed, because sending them again harms nothing.
fn imported(
    job: &aws_sdk_pinpoint::types::ImportJobResponse,
    endpoints: &[Endpoint],
    id: &str,
) -> Vec<Result<Option<String>, String>> {
    let failed = usize::try_from(job.total_failures().unwrap_or(0)).unwrap_or(0);
    let said = job.failures().join("\n");
    let named: Vec<bool> = endpoints
        .iter()
        .map(|endpoint| {
            !said.is_empty() && (said.contains(&endpoint.id) || said.contains(&endpoint.address))
        })
        .collect();
    let told = named.iter().filter(|named| **named).count();
    let all = failed > told;
    named
        .into_iter()
        .map(|named| {
            if named || all {
                return Err(format!("the import job {id} reports {failed} failures"));
            }
            Ok(Some(id.to_owned()))
        })
        .collect()
}

const MEMBER: &str = "in";

/// An endpoint as it is to be.
struct Endpoint {
    id: String,
    address: String,
    user: Option<String>,
    attributes: Vec<(String, Vec<String>)>,
}

impl Endpoint {
    /// Of a change; an error says why Pinpoint would not take it.
    fn of(run: &Run, change: &Change) -> Result<Self, String> {
        let mut values = change.values();
        let address = match values.remove(ADDRESS) {
            Some(Value::String(address)) => address,
            _ if run.key == ADDRESS => change.member.clone(),
            _ => return Err("it has no address".to_owned()),
        };
        let id = match values.remove("endpoint_id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            _ if run.key == "endpoint_id" => change.member.clone(),
            _ => identity_of(&[&run.key, &change.member]),
        };
        let user = (run.key != ADDRESS && run.key != "endpoint_id").then(|| change.member.clone());
        let membership = match change.action {
            Action::Remove => Vec::new(),
            _ => vec![MEMBER.to_owned()],
        };
        let mut attributes = vec![(attribute_of(&run.segment), membership)];
        if change.action != Action::Remove {
            for (name, value) in values {
                let value = match value {
                    Value::Null => Vec::new(),
                    Value::String(text) => vec![text],
                    other => vec![other.to_string()],
                };
                let length = value.iter().map(|text| text.chars().count()).max().unwrap_or(0);
                if length > VALUE_LENGTH || name.chars().count() > NAME_LENGTH {
                    return Err(format!(
                        "the attribute {name} is too long (names {NAME_LENGTH}, values {VALUE_LENGTH} characters)"
                    ));
                }
                attributes.push((name, value));
            }
        }
        Ok(Self { id, address, user, attributes })
    }

    fn item(&self) -> EndpointBatchItem {
        let mut item = EndpointBatchItem::builder()
            .id(&self.id)
            .address(&self.address)
            .channel_type(ChannelType::Email);
        for (name, values) in &self.attributes {
            item = item.attributes(name, values.clone());
        }
        if let Some(user) = &self.user {
            item = item.user(EndpointUser::builder().user_id(user).build());
        }
        item.build()
    }

    /// As a line of an import file.
    fn json(&self) -> Value {
        let attributes: serde_json::Map<String, Value> =
            self.attributes.iter().map(|(name, values)| (name.clone(), json!(values))).collect();
        let mut line = json!({
            "Id": self.id,
            "ChannelType": "EMAIL",
            "Address": self.address,
            "Attributes": attributes,
        });
        if let Some(user) = &self.user {
            line["User"] = json!({"UserId": user});
        }
        line
    }
}

/// The attribute that says who is in a segment: at most 50 characters.
pub(super) fn attribute_of(segment: &str) -> String {
    let name = format!("segment_{segment}");
    if name.len() <= NAME_LENGTH {
        return name;
    }
    // The names of segments are ASCII.
    format!("{}_{}", &name[..NAME_LENGTH - 9], &identity_of(&[segment])[..8])
}

/// Whether requests would go to AWS's own service.
fn is_aws_itself(config: &SdkConfig) -> bool {
    let own = std::env::var("AWS_ENDPOINT_URL_PINPOINT").ok().filter(|url| !url.is_empty());
    let endpoint = own.or_else(|| config.endpoint_url().map(str::to_owned));
    endpoint.is_none_or(|endpoint| endpoint.contains(".amazonaws.com"))
}

#[async_trait]
impl Destination for Application {
    fn manner(&self, changes: u64) -> Manner {
        if self.imports.is_some() && changes > self.import_above {
            return Manner::Batches { changes: IMPORT_BATCH, at_once: 1 };
        }
        Manner::Batches { changes: BATCH, at_once: AT_ONCE }
    }

    async fn prepare(&mut self, run: &Run) -> Result<(), DestinationError> {
        let app =
            self.caller.call(|| self.client.get_app().application_id(&self.id).send()).await?;
        match app {
            Ok(_) => {}
            Err(error) if error.is_missing() => {
                let reason = format!("there is no application {}", self.id);
                return Err(self.caller.missing(run.acknowledged.is_some(), reason));
            }
            Err(error) => return Err(self.caller.refused(format!("GetApp: {}", error.reason()))),
        }
        if self.find_segment(&run.segment).await? {
            return Ok(());
        }
        self.create_segment(run).await
    }

    async fn deliver(
        &self,
        run: &Run,
        batch: &[Change],
    ) -> Result<Vec<Delivered>, DestinationError> {
        let mut delivered: Vec<Option<Delivered>> = vec![None; batch.len()];
        let mut endpoints = Vec::new();
        let mut places = Vec::new();
        for (place, change) in batch.iter().enumerate() {
            match Endpoint::of(run, change) {
                Ok(endpoint) => {
                    endpoints.push(endpoint);
                    places.push(place);
                }
                Err(reason) => delivered[place] = Some(Delivered::failed(reason, None)),
            }
        }
        let mut outcomes = Vec::with_capacity(endpoints.len());
        match &self.imports {
            Some((files, role)) if batch.len() as u64 > self.import_above.min(BATCH as u64) => {
                outcomes = self.import(run, &endpoints, (files, role)).await?;
            }
            _ => {
                for part in parts(&endpoints) {
                    outcomes.extend(self.update(part).await?);
                }
            }
        }
        for (place, outcome) in places.into_iter().zip(outcomes) {
            delivered[place] = Some(match outcome {
                Ok(id) => Delivered::done(id),
                Err(reason) => Delivered::failed(reason, None),
            });
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

/// Cuts endpoints into batches of at most 100 and of the bytes that a request may have.
fn parts(endpoints: &[Endpoint]) -> Vec<&[Endpoint]> {
    let mut parts = Vec::new();
    let (mut begin, mut bytes) = (0, 0);
    for (place, endpoint) in endpoints.iter().enumerate() {
        let size = endpoint.json().to_string().len();
        if place > begin && (place - begin == BATCH || bytes + size > BATCH_BYTES) {
            parts.push(&endpoints[begin..place]);
            (begin, bytes) = (place, 0);
        }
        bytes += size;
    }
    if begin < endpoints.len() {
        parts.push(&endpoints[begin..]);
    }
    parts
}
