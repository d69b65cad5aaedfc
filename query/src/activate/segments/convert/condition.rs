//! Conditions of Pinpoint's segments in SQL ("Amazon Pinpoint API Reference", SegmentDimensions,
//! SegmentGroupList).
//!
//! Every condition is true or false, never NULL, so that it can be negated.

use serde_json::{Map, Value};

use super::{Exported, Note, NoteKind, one_line};

/// Segments within segments are followed so far.
const DEPTH: usize = 5;

/// Writes the condition of one segment.
pub(super) struct Writer<'a> {
    exported: &'a [Exported],
    joins: Vec<String>,
    lists: Vec<String>,
    uses_recipients: bool,
    notes: Vec<Note>,
    depth: usize,
}

impl<'a> Writer<'a> {
    pub(super) fn new(exported: &'a [Exported]) -> Self {
        Self {
            exported,
            joins: Vec::new(),
            lists: Vec::new(),
            uses_recipients: false,
            notes: Vec::new(),
            depth: 0,
        }
    }

    /// What has to be joined, and what is not as it was.
    pub(super) fn finish(mut self) -> (Vec<String>, Vec<Note>) {
        if self.uses_recipients {
            let join = "LEFT JOIN recipients AS r ON r.recipient = e.address";
            self.joins.insert(0, join.to_owned());
        }
        (self.joins, self.notes)
    }

    /// Who is in a segment. `lets_in` says whether the condition lets people in where it stands, or keeps
    /// them out.
    pub(super) fn segment(&mut self, segment: &Exported, lets_in: bool) -> String {
        if let Some(groups) = object(segment.get("SegmentGroups")) {
            return self.groups(groups, lets_in);
        }
        if object(segment.get("ImportDefinition")).is_some_and(|import| !import.is_empty())
            || segment.get("SegmentType").and_then(Value::as_str) == Some("IMPORT")
        {
            let id = segment.get("Id").and_then(Value::as_str).unwrap_or_default();
            return self.imported(id, segment);
        }
        match object(segment.get("Dimensions")) {
            Some(dimensions) => self.dimensions(dimensions, lets_in),
            None => "true".to_owned(),
        }
    }

    /// Members of an imported segment: they are in a file, not in a condition.
    fn imported(&mut self, id: &str, segment: &Exported) -> String {
        let place = self.lists.iter().position(|list| list == id).unwrap_or_else(|| {
            self.lists.push(id.to_owned());
            let alias = format!("list{}", self.lists.len());
            self.joins.push(format!(
                "LEFT JOIN (\n    SELECT DISTINCT endpoint_id FROM endpoint_imports WHERE import_name = {}\n) AS {alias} ON {alias}.endpoint_id = e.endpoint_id",
                literal(id)
            ));
            let import = object(segment.get("ImportDefinition"));
            let url = import.and_then(|import| import.get("S3Url")).and_then(Value::as_str);
            let file = url.map_or_else(|| "the file it was imported from".to_owned(), one_line);
            let text = format!(
                "its members are a list: hearback segments import --name {} {file}",
                one_line(id)
            );
            self.notes.push(Note { kind: NoteKind::ToDo, text });
            self.lists.len() - 1
        });
        format!("(list{}.endpoint_id IS NOT NULL)", place + 1)
    }

    fn groups(&mut self, list: &Map<String, Value>, lets_in: bool) -> String {
        if let Some(name) = unknown_key(list, &["Groups", "Include"]) {
            return self.left(&format!("segment groups with {name}"), lets_in);
        }
        let include = word(list.get("Include"), "ALL");
        let inner = if include == "NONE" { !lets_in } else { lets_in };
        let groups = array(list.get("Groups"));
        let conditions =
            groups.iter().filter_map(Value::as_object).map(|group| self.group(group, inner));
        let conditions: Vec<String> = conditions.collect();
        self.combined(&include, &conditions, lets_in)
    }

    fn group(&mut self, group: &Map<String, Value>, lets_in: bool) -> String {
        let known = ["Dimensions", "SourceSegments", "SourceType", "Type"];
        if let Some(name) = unknown_key(group, &known) {
            return self.left(&format!("a segment group with {name}"), lets_in);
        }
        let kind = word(group.get("Type"), "ALL");
        let inner = if kind == "NONE" { !lets_in } else { lets_in };
        let mut dimensions = Vec::new();
        for dimension in array(group.get("Dimensions")).iter().filter_map(Value::as_object) {
            dimensions.push(self.dimensions(dimension, inner));
        }
        let within = self.combined(&kind, &dimensions, lets_in);
        let kind = word(group.get("SourceType"), "ALL");
        let inner = if kind == "NONE" { !lets_in } else { lets_in };
        let mut sources = Vec::new();
        for source in array(group.get("SourceSegments")).iter().filter_map(Value::as_object) {
            sources.push(self.source(source, inner));
        }
        if sources.is_empty() {
            return within;
        }
        let sources = self.combined(&kind, &sources, lets_in);
        format!("({sources} AND {within})")
    }

    /// A segment that is named by its id.
    fn source(&mut self, source: &Map<String, Value>, lets_in: bool) -> String {
        let id = source.get("Id").and_then(Value::as_str).unwrap_or_default();
        let exported = self.exported;
        let same = |it: &&Exported| it.get("Id").and_then(Value::as_str) == Some(id);
        let Some(segment) = exported.iter().find(same) else {
            let what =
                format!("the segment {} that it refers to is not among the files", one_line(id));
            return self.left(&what, lets_in);
        };
        if self.depth >= DEPTH {
            return self.left("segments that refer to one another too deeply", lets_in);
        }
        self.depth += 1;
        let condition = self.segment(segment, lets_in);
        self.depth -= 1;
        condition
    }

    fn combined(&mut self, how: &str, conditions: &[String], lets_in: bool) -> String {
        match (how, conditions) {
            (_, []) => "true".to_owned(),
            ("ALL", [one]) | ("ANY", [one]) => one.clone(),
            ("ALL", _) => format!("({})", conditions.join(" AND ")),
            ("ANY", _) => format!("({})", conditions.join(" OR ")),
            ("NONE", _) => format!("(NOT ({}))", conditions.join(" OR ")),
            _ => self.left(&format!("the combination {}", one_line(how)), lets_in),
        }
    }

    /// All of a set of dimensions.
    fn dimensions(&mut self, dimensions: &Map<String, Value>, lets_in: bool) -> String {
        let mut conditions = Vec::new();
        for (name, value) in dimensions {
            if is_empty(value) {
                continue;
            }
            let Some(fields) = value.as_object() else {
                conditions.push(self.left(&format!("the dimension {}", one_line(name)), lets_in));
                continue;
            };
            for (field, dimension) in fields.iter().filter(|(_, dimension)| !is_empty(dimension)) {
                conditions.push(match name.as_str() {
                    "Attributes" => self.attribute("attributes", field, dimension, lets_in),
                    "UserAttributes" => {
                        self.attribute("user_attributes", field, dimension, lets_in)
                    }
                    "Metrics" => self.metric(field, dimension, lets_in),
                    "Demographic" => self.demographic(field, dimension, lets_in),
                    "Location" => self.location(field, dimension, lets_in),
                    "Behavior" => self.behavior(field, dimension, lets_in),
                    _ => {
                        let what = format!("the dimension {}.{}", one_line(name), one_line(field));
                        self.left(&what, lets_in)
                    }
                });
            }
        }
        self.combined("ALL", &conditions, lets_in)
    }

    fn attribute(&mut self, column: &str, name: &str, dimension: &Value, lets_in: bool) -> String {
        let values = texts(dimension.get("Values"));
        let kind = word(dimension.get("AttributeType"), "INCLUSIVE");
        let list = format!("e.{column}[{}]", literal(name));
        let first = format!("TRY_CAST({list}[1] AS TIMESTAMP)");
        let instants: Vec<String> = values.iter().filter_map(|value| instant(value)).collect();
        let condition = match (kind.as_str(), instants.as_slice()) {
            ("INCLUSIVE", _) => any_of(&list, &values),
            ("EXCLUSIVE", _) => {
                self.without(&format!("{column} {}", one_line(name)));
                return format!("(NOT {})", known(&any_of(&list, &values)));
            }
            ("CONTAINS", _) if !values.is_empty() => {
                let one = |value: &String| {
                    format!("strpos(array_to_string({list}, chr(10)), {}) > 0", literal(value))
                };
                let all: Vec<String> = values.iter().map(one).collect();
                all.join(" OR ")
            }
            ("BEFORE", [instant]) => format!("{first} < {instant}"),
            ("AFTER", [instant]) => format!("{first} > {instant}"),
            ("ON", [instant]) => format!("CAST({first} AS DATE) = CAST({instant} AS DATE)"),
            ("BETWEEN", [from, to]) => format!("{first} BETWEEN {from} AND {to}"),
            _ => {
                let what = format!("{column} {} {}", one_line(name), one_line(&kind));
                return self.left(&what, lets_in);
            }
        };
        known(&condition)
    }

    fn metric(&mut self, name: &str, dimension: &Value, lets_in: bool) -> String {
        let operator = match word(dimension.get("ComparisonOperator"), "").as_str() {
            "EQUAL" => "=",
            "GREATER_THAN" => ">",
            "GREATER_THAN_OR_EQUAL" => ">=",
            "LESS_THAN" => "<",
            "LESS_THAN_OR_EQUAL" => "<=",
            _ => return self.left(&format!("the metric {}", one_line(name)), lets_in),
        };
        let Some(value) = dimension.get("Value").and_then(Value::as_f64) else {
            return self.left(&format!("the metric {}", one_line(name)), lets_in);
        };
        known(&format!("TRY_CAST(e.metrics->>{} AS DOUBLE) {operator} {value:?}", literal(name)))
    }

    /// `Channel`, `Platform`, `Make` and their like.
    fn demographic(&mut self, field: &str, dimension: &Value, lets_in: bool) -> String {
        let key = match field {
            "Channel" => "e.channel".to_owned(),
            "AppVersion" | "Make" | "Model" | "Platform" => {
                format!("e.demographic->>{}", literal(field))
            }
            // Endpoints say no device type: Pinpoint took it from the channel.
            _ => return self.left(&format!("Demographic.{}", one_line(field)), lets_in),
        };
        if field == "Channel" && !texts(dimension.get("Values")).iter().any(|it| it == "EMAIL") {
            let text =
                "only e-mail endpoints are asked for, and the segment is about other channels";
            self.notes.push(Note { kind: NoteKind::Left, text: text.to_owned() });
        }
        self.set(&key, field, dimension, lets_in)
    }

    fn location(&mut self, field: &str, dimension: &Value, lets_in: bool) -> String {
        if field == "Country" {
            return self.set("e.location->>'Country'", field, dimension, lets_in);
        }
        let point = dimension.get("Coordinates");
        let number = |of: Option<&Value>, name: &str| of?.get(name)?.as_f64();
        let (Some(latitude), Some(longitude), Some(range)) = (
            number(point, "Latitude"),
            number(point, "Longitude"),
            dimension.get("RangeInKilometers").and_then(Value::as_f64),
        ) else {
            return self.left(&format!("Location.{}", one_line(field)), lets_in);
        };
        let degree = |name: &str| format!("radians(TRY_CAST(e.location->>'{name}' AS DOUBLE))");
        let (lat, lon) = (degree("Latitude"), degree("Longitude"));
        // Great-circle distance (haversine) on a sphere of 6,371 km.
        known(&format!(
            "2 * 6371 * asin(sqrt(power(sin(({lat} - radians({latitude:?})) / 2), 2) \
             + cos(radians({latitude:?})) * cos({lat}) * power(sin(({lon} - radians({longitude:?})) / 2), 2))) \
             <= {range:?}"
        ))
    }

    /// Recency of use: hearback knows mail, so a click or open by a person stands for it.
    fn behavior(&mut self, field: &str, dimension: &Value, lets_in: bool) -> String {
        let interval = match word(dimension.get("Duration"), "").as_str() {
            "HR_24" => "24 hours",
            "DAY_7" => "7 days",
            "DAY_14" => "14 days",
            "DAY_30" => "30 days",
            _ => return self.left(&format!("Behavior.{}", one_line(field)), lets_in),
        };
        self.uses_recipients = true;
        let text = format!(
            "Behavior.Recency, use of an app within {interval}, became a click or open by a person within {interval}"
        );
        self.notes.push(Note { kind: NoteKind::Approximated, text });
        let active =
            known(&format!("r.last_human_engagement_time >= now() - INTERVAL '{interval}'"));
        match word(dimension.get("RecencyType"), "ACTIVE").as_str() {
            "ACTIVE" => active,
            "INACTIVE" => format!("(NOT {active})"),
            _ => self.left(&format!("Behavior.{}", one_line(field)), lets_in),
        }
    }

    fn set(&mut self, key: &str, field: &str, dimension: &Value, lets_in: bool) -> String {
        let values = texts(dimension.get("Values"));
        let list: Vec<String> = values.iter().map(|value| literal(value)).collect();
        if list.is_empty() {
            return self.left(&one_line(field), lets_in);
        }
        let is_in = known(&format!("{key} IN ({})", list.join(", ")));
        match word(dimension.get("DimensionType"), "INCLUSIVE").as_str() {
            "INCLUSIVE" => is_in,
            "EXCLUSIVE" => {
                self.without(field);
                format!("(NOT {is_in})")
            }
            _ => self.left(&one_line(field), lets_in),
        }
    }

    fn without(&mut self, what: &str) {
        let text = format!("{what} EXCLUSIVE: endpoints that do not say it are in");
        self.notes.push(Note { kind: NoteKind::Approximated, text });
    }

    /// Notes what could not be carried over; the condition that lets nobody in.
    fn left(&mut self, what: &str, lets_in: bool) -> String {
        let text = format!("{what}: cannot be carried over, and lets nobody in");
        self.notes.push(Note { kind: NoteKind::Left, text });
        if lets_in { "false".to_owned() } else { "true".to_owned() }
    }
}

/// A key that is none of those that are understood.
fn unknown_key(of: &Map<String, Value>, known: &[&str]) -> Option<String> {
    let unknown =
        |(name, value): &(&String, &Value)| !known.contains(&name.as_str()) && !is_empty(value);
    of.iter().find(unknown).map(|(name, _)| one_line(name))
}

/// A condition that is false where it would be NULL.
fn known(condition: &str) -> String {
    format!("coalesce({condition}, false)")
}

fn any_of(list: &str, values: &[String]) -> String {
    if values.is_empty() {
        return "false".to_owned();
    }
    let values: Vec<String> = values.iter().map(|value| literal(value)).collect();
    format!("array_has_any({list}, make_array({}))", values.join(", "))
}

/// A date or instant in SQL; None if the text is none.
fn instant(text: &str) -> Option<String> {
    let instant = text.parse::<jiff::Timestamp>().or_else(|_| {
        let date = text.parse::<jiff::civil::Date>()?;
        date.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp())
    });
    instant.ok().map(|instant| format!("CAST('{instant}' AS TIMESTAMP)"))
}

fn object(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

fn array(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn texts(value: Option<&Value>) -> Vec<String> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    array(value).iter().map(text).collect()
}

fn word(value: Option<&Value>, default: &str) -> String {
    value.and_then(Value::as_str).unwrap_or(default).to_owned()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(object) => object.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// A text in SQL.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
