//! A stand-in for the part of SES that keeps suppression lists, written from its API model and developer
//! guide: exact spellings, one list for each Region, pages, import jobs that read their file from S3, and
//! failures on demand. It also takes the S3 requests of the import files.
//!
//! It is stricter than a mock: what the API would refuse is refused, and what it saw can be asked.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::Response;
use serde_json::{Value, json};

/// The account that everybody is.
pub const ACCOUNT: &str = "111122223333";

/// An entry of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// BOUNCE or COMPLAINT.
    pub reason: String,
    /// `LastUpdateTime`, in seconds since 1970.
    pub updated: f64,
}

/// A request that was answered, or was left hanging.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it came.
    pub at: Instant,
    /// Region of its signature.
    pub region: String,
    /// `METHOD path`.
    pub line: String,
}

/// When a request is left without an answer, as if the line had been cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// Before it has an effect.
    Before,
    /// After it had its effect.
    After,
}

#[derive(Debug)]
struct Job {
    region: String,
    polls: u32,
    failed: Vec<String>,
    processed: usize,
}

#[derive(Debug, Default)]
struct World {
    lists: HashMap<String, BTreeMap<String, Listed>>,
    reasons: HashMap<String, Vec<String>>,
    overrides: BTreeMap<String, Vec<String>>,
    objects: HashMap<String, Vec<u8>>,
    jobs: Vec<Job>,
    seen: Vec<Seen>,
    throttles: u32,
    polls_of_a_job: u32,
    refused: Vec<String>,
    denied_regions: Vec<String>,
    cut: Option<(usize, Cut)>,
    changes: usize,
    hanging: bool,
    address: Option<SocketAddr>,
}

/// A running stand-in; it ends with the test's process.
#[derive(Clone)]
pub struct SesLists {
    world: Arc<Mutex<World>>,
    address: SocketAddr,
}

impl SesLists {
    /// Starts it on a free loopback port.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start() -> Self {
        let world = Arc::new(Mutex::new(World::default()));
        let router = Router::new()
            .fallback(answer)
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&world));
        let address = serve(router);
        world.lock().expect("nobody panicked with it").address = Some(address);
        Self { world, address }
    }

    /// The variables that make an AWS client use it.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL", format!("http://{}", self.address)),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "testing".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "testing".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("nobody panicked with it")
    }

    /// The list of a Region, by exact spelling.
    #[must_use]
    pub fn list(&self, region: &str) -> BTreeMap<String, Listed> {
        self.world().lists.get(region).cloned().unwrap_or_default()
    }

    /// Puts an entry on a list, as SES itself or an operator would.
    pub fn put(&self, region: &str, address: &str, reason: &str) {
        let listed = Listed { reason: reason.to_owned(), updated: now() };
        self.world().lists.entry(region.to_owned()).or_default().insert(address.to_owned(), listed);
    }

    /// Takes an entry off a list, as an operator would.
    pub fn take(&self, region: &str, address: &str) {
        if let Some(list) = self.world().lists.get_mut(region) {
            list.remove(address);
        }
    }

    /// Whether mail to an address would be stopped: spellings are compared without case.
    #[must_use]
    pub fn stops(&self, region: &str, address: &str) -> bool {
        self.list(region).keys().any(|entry| entry.eq_ignore_ascii_case(address))
    }

    /// Sets the account's suppressed reasons in a Region.
    pub fn suppress_for(&self, region: &str, reasons: &[&str]) {
        let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        self.world().reasons.insert(region.to_owned(), reasons);
    }

    /// Adds a configuration set that overrides the account's reasons.
    pub fn override_set(&self, set: &str, reasons: &[&str]) {
        let reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        self.world().overrides.insert(set.to_owned(), reasons);
    }

    /// The next requests are answered with 429.
    pub fn throttle(&self, requests: u32) {
        self.world().throttles = requests;
    }

    /// Import jobs stay in PROCESSING for this many polls.
    pub fn slow_jobs(&self, polls: u32) {
        self.world().polls_of_a_job = polls;
    }

    /// This address is refused: by requests with 400, by jobs in the file of failures.
    pub fn refuse(&self, address: &str) {
        self.world().refused.push(address.to_owned());
    }

    /// Nobody may do anything in a Region.
    pub fn deny(&self, region: &str) {
        self.world().denied_regions.push(region.to_owned());
    }

    /// The changing request of this number, from 1, gets no answer.
    pub fn cut(&self, number: usize, when: Cut) {
        let mut world = self.world();
        world.cut = Some((number, when));
        world.changes = 0;
        world.hanging = false;
    }

    /// Whether a request hangs.
    #[must_use]
    pub fn hanging(&self) -> bool {
        self.world().hanging
    }

    /// Everything works again.
    pub fn mend(&self) {
        let mut world = self.world();
        world.cut = None;
        world.hanging = false;
        world.throttles = 0;
        world.refused.clear();
        world.denied_regions.clear();
    }

    /// Requests to SES so far whose line holds a text; S3 and STS are not SES.
    #[must_use]
    pub fn requests(&self, holds: &str) -> Vec<Seen> {
        let world = self.world();
        world.seen.iter().filter(|seen| seen.line.contains(holds)).cloned().collect()
    }

    /// Objects in S3.
    #[must_use]
    pub fn objects(&self) -> Vec<String> {
        self.world().objects.keys().cloned().collect()
    }
}

/// Serves on a free loopback port for as long as the process lives.
///
/// # Panics
/// When it cannot listen.
pub(crate) fn serve(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.set_nonblocking(true).expect("a listener for tokio");
    let address = listener.local_addr().expect("a bound port");
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            axum::serve(listener, router).await.expect("it serves");
        });
    });
    address
}

fn now() -> f64 {
    // The stand-in has a clock of its own, as SES has.
    #[expect(clippy::disallowed_methods, reason = "the clock of another machine")]
    let now = SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

async fn answer(
    State(world): State<Arc<Mutex<World>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let region = region_of(&headers);
    {
        let mut world = world.lock().expect("nobody panicked with it");
        if let Some(answer) = world.take(&method, &uri, &region, &body) {
            return answer;
        }
        world.hanging = true;
    }
    std::future::pending().await
}

/// The Region of the signature: `Credential=KEY/DATE/REGION/SERVICE/aws4_request`.
pub(crate) fn region_of(headers: &HeaderMap) -> String {
    let signature = headers.get("authorization").and_then(|value| value.to_str().ok());
    let scope = signature.and_then(|text| text.split("Credential=").nth(1));
    scope.and_then(|scope| scope.split('/').nth(2)).unwrap_or("none").to_owned()
}

impl World {
    /// Answers a request; None for one that hangs.
    fn take(&mut self, method: &Method, uri: &Uri, region: &str, body: &Bytes) -> Option<Response> {
        let path = uri.path();
        if path == "/" && *method == Method::POST {
            return Some(plain(
                StatusCode::OK,
                &format!(
                    "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult><Arn>arn:aws:iam::{ACCOUNT}:root</Arn><UserId>u</UserId><Account>{ACCOUNT}</Account></GetCallerIdentityResult><ResponseMetadata><RequestId>r</RequestId></ResponseMetadata></GetCallerIdentityResponse>"
                ),
            ));
        }
        let Some(rest) = path.strip_prefix("/v2/email/") else {
            return Some(self.storage(method, path, body));
        };
        self.seen.push(Seen {
            at: Instant::now(),
            region: region.to_owned(),
            line: format!("{method} {path}"),
        });
        if self.throttles > 0 {
            self.throttles -= 1;
            return Some(error(
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequestsException",
                "Rate exceeded",
            ));
        }
        if self.denied_regions.iter().any(|denied| denied == region) {
            return Some(error(StatusCode::FORBIDDEN, "AccessDeniedException", "not authorized"));
        }
        let changes = matches!(*method, Method::PUT | Method::DELETE) || rest == "import-jobs";
        let cut = match self.cut {
            Some((number, when)) if changes => {
                self.changes += 1;
                (self.changes == number).then_some(when)
            }
            _ => None,
        };
        if cut == Some(Cut::Before) {
            return None;
        }
        let answer = self.ses(method, rest, uri.query().unwrap_or_default(), region, body);
        if cut == Some(Cut::After) { None } else { Some(answer) }
    }

    fn ses(
        &mut self,
        method: &Method,
        rest: &str,
        query: &str,
        region: &str,
        body: &Bytes,
    ) -> Response {
        let body: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        match (method.as_str(), rest) {
            ("GET", "account") => {
                let both = vec!["BOUNCE".to_owned(), "COMPLAINT".to_owned()];
                let reasons = self.reasons.get(region).unwrap_or(&both);
                ok(&json!({"SuppressionAttributes": {"SuppressedReasons": reasons}}))
            }
            ("POST", "list-configuration-sets") => {
                let sets: Vec<&String> = self.overrides.keys().collect();
                ok(&json!({"ConfigurationSets": sets}))
            }
            ("PUT", "suppression/addresses") => {
                let address = body["EmailAddress"].as_str().unwrap_or_default().to_owned();
                let reason = body["Reason"].as_str().unwrap_or_default().to_owned();
                if self.refused.contains(&address) || !address.contains('@') {
                    return error(
                        StatusCode::BAD_REQUEST,
                        "BadRequestException",
                        &format!("Invalid email address {address}"),
                    );
                }
                if reason != "BOUNCE" && reason != "COMPLAINT" {
                    return error(StatusCode::BAD_REQUEST, "BadRequestException", "reason");
                }
                let listed = Listed { reason, updated: now() };
                self.lists.entry(region.to_owned()).or_default().insert(address, listed);
                ok(&json!({}))
            }
            ("GET", "suppression/addresses") => self.page(query, region),
            ("POST", "import-jobs") => self.import(&body, region),
            _ => self.named(method, rest, region),
        }
    }

    fn named(&mut self, method: &Method, rest: &str, region: &str) -> Response {
        if let Some(address) = rest.strip_prefix("suppression/addresses/") {
            let address = percent_decoded(address);
            let missing = || {
                error(
                    StatusCode::NOT_FOUND,
                    "NotFoundException",
                    "Email address does not exist on your suppression list",
                )
            };
            let list = self.lists.entry(region.to_owned()).or_default();
            // A slash is lost on its way through the service.
            if address.contains('/') || !list.contains_key(&address) {
                return missing();
            }
            if *method == Method::DELETE {
                list.remove(&address);
                return ok(&json!({}));
            }
            let Some(listed) = list.get(&address) else { return missing() };
            return ok(
                &json!({"SuppressedDestination": {"EmailAddress": address, "Reason": listed.reason, "LastUpdateTime": listed.updated}}),
            );
        }
        if let Some(set) = rest.strip_prefix("configuration-sets/") {
            return match self.overrides.get(set) {
                Some(reasons) => ok(
                    &json!({"ConfigurationSetName": set, "SuppressionOptions": {"SuppressedReasons": reasons}}),
                ),
                None => error(StatusCode::NOT_FOUND, "NotFoundException", "no such set"),
            };
        }
        if let Some(id) = rest.strip_prefix("import-jobs/") {
            return self.job(id, region);
        }
        error(StatusCode::BAD_REQUEST, "BadRequestException", "not emulated")
    }

    fn page(&self, query: &str, region: &str) -> Response {
        let parameter = |name: &str| {
            query.split('&').find_map(|pair| {
                let (key, value) = pair.split_once('=')?;
                (key == name).then(|| percent_decoded(value))
            })
        };
        let size: usize = parameter("PageSize").and_then(|size| size.parse().ok()).unwrap_or(1000);
        if size > 1000 {
            return error(StatusCode::BAD_REQUEST, "BadRequestException", "PageSize");
        }
        let since = parameter("StartDate").and_then(|text| instant(&text)).unwrap_or(0.0);
        let start: usize = match parameter("NextToken") {
            None => 0,
            Some(token) => match token.parse() {
                Ok(start) => start,
                Err(_) => {
                    return error(StatusCode::BAD_REQUEST, "InvalidNextTokenException", "token");
                }
            },
        };
        let empty = BTreeMap::new();
        let list = self.lists.get(region).unwrap_or(&empty);
        let entries: Vec<(&String, &Listed)> =
            list.iter().filter(|(_, listed)| listed.updated >= since).collect();
        let page = entries.iter().skip(start).take(size);
        let summaries: Vec<Value> = page
            .map(|(address, listed)| json!({"EmailAddress": address, "Reason": listed.reason, "LastUpdateTime": listed.updated}))
            .collect();
        let more = entries.len() > start + size;
        let mut answer = json!({"SuppressedDestinationSummaries": summaries});
        if more {
            answer["NextToken"] = json!((start + size).to_string());
        }
        ok(&answer)
    }

    /// Reads the file and does what it says, as the job would in its own time.
    fn import(&mut self, body: &Value, region: &str) -> Response {
        let bad = |why: &str| error(StatusCode::BAD_REQUEST, "BadRequestException", why);
        let action =
            body["ImportDestination"]["SuppressionListDestination"]["SuppressionListImportAction"]
                .as_str();
        let url = body["ImportDataSource"]["S3Url"].as_str().unwrap_or_default();
        if body["ImportDataSource"]["DataFormat"] != "CSV" {
            return bad("DataFormat");
        }
        let Some(path) = url.strip_prefix("s3://") else { return bad("S3Url") };
        let Some(bytes) = self.objects.get(path).cloned() else {
            return bad("the object is not there");
        };
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let most = if action == Some("PUT") { 100_000 } else { 10_000 };
        if lines.len() > most {
            return bad("too many records");
        }
        let mut failed = Vec::new();
        for line in &lines {
            let (address, reason) = line.split_once(',').unwrap_or((line, ""));
            let list = self.lists.entry(region.to_owned()).or_default();
            let known = matches!(reason, "BOUNCE" | "COMPLAINT");
            if self.refused.iter().any(|refused| refused == address)
                || (action == Some("PUT") && !known)
            {
                failed.push(address.to_owned());
            } else if action == Some("PUT") {
                list.insert(
                    address.to_owned(),
                    Listed { reason: reason.to_owned(), updated: now() },
                );
            } else {
                list.remove(address);
            }
        }
        let polls = self.polls_of_a_job;
        self.jobs.push(Job { region: region.to_owned(), polls, failed, processed: lines.len() });
        ok(&json!({"JobId": format!("job-{}", self.jobs.len())}))
    }

    fn job(&mut self, id: &str, region: &str) -> Response {
        let number: usize = id.strip_prefix("job-").and_then(|n| n.parse().ok()).unwrap_or(0);
        let address = self.address;
        let job = self.jobs.get_mut(number.wrapping_sub(1)).filter(|job| job.region == region);
        let Some(job) = job else {
            return error(StatusCode::NOT_FOUND, "NotFoundException", "no such job");
        };
        if job.polls > 0 {
            job.polls -= 1;
            return ok(&json!({"JobId": id, "JobStatus": "PROCESSING"}));
        }
        let mut answer = json!({
            "JobId": id,
            "JobStatus": "COMPLETED",
            "ProcessedRecordsCount": job.processed,
            "FailedRecordsCount": job.failed.len(),
        });
        if !job.failed.is_empty() {
            let key = format!("failures/{id}.csv");
            let lines: Vec<String> =
                job.failed.iter().map(|address| format!("{address},Invalid\n")).collect();
            self.objects.insert(key.clone(), lines.concat().into_bytes());
            let place = address.map(|address| address.to_string()).unwrap_or_default();
            answer["FailureInfo"] = json!({
                "FailedRecordsS3Url": format!("http://{place}/{key}?X-Amz-Signature=x"),
                "ErrorMessage": "Some records failed",
            });
        }
        ok(&answer)
    }

    fn storage(&mut self, method: &Method, path: &str, body: &Bytes) -> Response {
        let key = percent_decoded(path.trim_start_matches('/'));
        match *method {
            Method::PUT => {
                self.objects.insert(key, body.to_vec());
                let mut answer = plain(StatusCode::OK, "");
                answer.headers_mut().insert("etag", "\"e\"".parse().expect("a header"));
                answer
            }
            Method::GET => match self.objects.get(&key) {
                Some(bytes) => Response::new(Body::from(bytes.clone())),
                None => plain(StatusCode::NOT_FOUND, ""),
            },
            // DeleteObjects: the keys stand in the body.
            Method::POST => {
                let text = String::from_utf8_lossy(body).into_owned();
                let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>"));
                let mut deleted = String::new();
                for (name, _) in keys {
                    self.objects.remove(&format!("{}/{name}", key.trim_end_matches('/')));
                    deleted.push_str(&format!("<Deleted><Key>{name}</Key></Deleted>"));
                }
                plain(
                    StatusCode::OK,
                    &format!(
                        "<DeleteResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">{deleted}</DeleteResult>"
                    ),
                )
            }
            _ => plain(StatusCode::BAD_REQUEST, ""),
        }
    }
}

fn ok(body: &Value) -> Response {
    let mut answer = plain(StatusCode::OK, &body.to_string());
    answer.headers_mut().insert("content-type", "application/json".parse().expect("a header"));
    answer.headers_mut().insert("x-amzn-requestid", "11112222-3333".parse().expect("a header"));
    answer
}

fn error(status: StatusCode, code: &str, message: &str) -> Response {
    let mut answer = plain(status, &json!({"message": message}).to_string());
    answer.headers_mut().insert("x-amzn-errortype", code.parse().expect("a header"));
    answer.headers_mut().insert("content-type", "application/json".parse().expect("a header"));
    answer
}

fn plain(status: StatusCode, text: &str) -> Response {
    let mut answer = Response::new(Body::from(text.to_owned()));
    *answer.status_mut() = status;
    answer
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let code = after.get(..2).filter(|_| *first == b'%');
        let code = code.and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Seconds since 1970 of `2026-11-20T10:11:12Z`, or of a number.
fn instant(text: &str) -> Option<f64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    // Days from the civil date (Howard Hinnant's algorithm, public domain).
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let year_of_era = year - era * 400;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    let days = era * 146_097 + day_of_era - 719_468;
    Some((days * 86_400 + hour * 3_600 + minute * 60 + second) as f64)
}
