//! The sets of tags of a call, each once: rows of one mailing carry the same.

use std::sync::Arc;

use arrow_array::{ArrayRef, ListArray, MapArray, StructArray};
use arrow_buffer::{OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, Field, Fields};

use super::columns::TextColumn;
use crate::tags::{Part, Saved, Tags};

/// Sets of tags, one behind the other.
#[derive(Debug)]
pub(super) struct TagSets {
    /// Where each set's names begin.
    offsets: Vec<i32>,
    names: TextColumn,
    /// Where each name's values begin.
    list_offsets: Vec<i32>,
    values: TextColumn,
    value_count: usize,
    /// Codes here of the sets that the reader remembers; or none yet.
    known: Vec<Option<i32>>,
    /// The reader's memory that `known` belongs to.
    generation: u64,
}

impl Default for TagSets {
    fn default() -> Self {
        Self {
            offsets: Vec::new(),
            names: TextColumn::EMPTY,
            list_offsets: Vec::new(),
            values: TextColumn::EMPTY,
            value_count: 0,
            known: Vec::new(),
            generation: 0,
        }
    }
}

impl TagSets {
    /// The code of a set; `None` if it is empty.
    pub(super) fn code(&mut self, tags: &Tags<'_>) -> Option<i32> {
        if tags.is_empty() {
            return None;
        }
        let Some(Saved { place, generation }) = tags.saved() else {
            return Some(self.add(tags));
        };
        if self.generation != generation {
            self.generation = generation;
            self.known.clear();
        }
        if let Some(Some(code)) = self.known.get(place) {
            return Some(*code);
        }
        let code = self.add(tags);
        if self.known.len() <= place {
            self.known.resize(place + 1, None);
        }
        self.known[place] = Some(code);
        Some(code)
    }

    fn add(&mut self, tags: &Tags<'_>) -> i32 {
        // Batches are closed long before their offsets could overflow.
        let code = self.offsets.len() as i32;
        self.offsets.push(self.list_offsets.len() as i32);
        tags.each(|part| match part {
            Part::Name(name) => {
                self.names.set(self.list_offsets.len(), name);
                self.list_offsets.push(self.value_count as i32);
            }
            Part::Value(value) => {
                if let Some(value) = value {
                    self.values.set(self.value_count, value);
                }
                self.value_count += 1;
            }
        });
        code
    }

    pub(super) fn bytes(&self) -> usize {
        self.names.bytes.len() + self.values.bytes.len()
    }

    /// All sets as a map array, and begins anew.
    pub(super) fn finish(&mut self, data_type: &DataType) -> ArrayRef {
        let (entries, fields, value) = map_fields(data_type);
        let names = self.list_offsets.len();
        self.offsets.push(names as i32);
        self.list_offsets.push(self.value_count as i32);
        let values = self.values.finish(self.value_count);
        let lists = ListArray::new(
            value,
            OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.list_offsets))),
            Arc::new(values),
            None,
        );
        let pairs = StructArray::new(
            fields,
            vec![Arc::new(self.names.finish(names)) as ArrayRef, Arc::new(lists)],
            None,
        );
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::take(&mut self.offsets)));
        self.value_count = 0;
        self.known.clear();
        Arc::new(MapArray::new(entries, offsets, pairs, None, false))
    }
}

/// The fields inside the map of the column `tags`: its entries, their two fields, a value's element.
fn map_fields(data_type: &DataType) -> (Arc<Field>, Fields, Arc<Field>) {
    if let DataType::Map(entries, _) = data_type
        && let DataType::Struct(fields) = entries.data_type()
        && let Some(DataType::List(element)) = fields.get(1).map(|field| field.data_type())
    {
        return (Arc::clone(entries), fields.clone(), Arc::clone(element));
    }
    unreachable!("the schema of `events` has a map of lists under `tags`")
}
