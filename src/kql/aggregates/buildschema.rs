//! `buildschema`: the least schema that admits all values.

use super::{Aggregate, Shape, Slot, Slots, Spec, feed};
use crate::kql::column::{Column, Datum};
use crate::kql::error::{Error, Kind, Result};
use crate::kql::json::Json;
use crate::kql::types::Type;
use crate::kql::value::Value;

pub(crate) fn table() -> Vec<Aggregate> {
    let shape = Shape::One { prefix: "schema" };
    vec![Aggregate::new(
        "buildschema",
        "dynamic -> dynamic",
        shape,
        Slots::<Schema>::boxed,
    )]
}

/// What has been seen in one place. A place that has seen several kinds prints as an array of them;
/// an array's elements are one place, the member `indexer`.
#[derive(Default)]
struct Schema {
    kinds: Vec<SchemaKind>,
}

enum SchemaKind {
    Scalar(&'static str),
    Container(Vec<(String, Schema)>),
}

impl Schema {
    fn scalar(&mut self, name: &'static str) {
        let known = |kind: &SchemaKind| matches!(kind, SchemaKind::Scalar(other) if *other == name);
        if !self.kinds.iter().any(known) {
            self.kinds.push(SchemaKind::Scalar(name));
        }
    }

    fn container(&mut self) -> &mut Vec<(String, Schema)> {
        let at = self
            .kinds
            .iter()
            .position(|kind| matches!(kind, SchemaKind::Container(_)))
            .unwrap_or_else(|| {
                self.kinds.push(SchemaKind::Container(Vec::new()));
                self.kinds.len() - 1
            });
        match &mut self.kinds[at] {
            SchemaKind::Container(members) => members,
            SchemaKind::Scalar(_) => unreachable!("the position is a container's"),
        }
    }

    fn member(&mut self, key: &str) -> &mut Schema {
        let members = self.container();
        let at = members
            .iter()
            .position(|(name, _)| name == key)
            .unwrap_or_else(|| {
                members.push((key.to_owned(), Schema::default()));
                members.len() - 1
            });
        &mut members[at].1
    }

    fn take(&mut self, json: &Json) -> Result<()> {
        match json {
            Json::Null => {
                return Err(Error {
                    kind: Kind::NotImplemented,
                    ..Error::execution("`buildschema` of a null inside a value is not implemented")
                });
            }
            Json::Bool(_) => self.scalar("bool"),
            Json::Long(_) => self.scalar("long"),
            Json::Real(_) => self.scalar("double"),
            Json::String(_) => self.scalar("string"),
            Json::Array(items) => {
                let place = self.member("indexer");
                for item in items {
                    place.take(item)?;
                }
            }
            Json::Bag(members) => {
                self.container();
                for (key, value) in members {
                    self.member(key).take(value)?;
                }
            }
        }
        Ok(())
    }

    fn absorb(&mut self, other: Schema) {
        for kind in other.kinds {
            match kind {
                SchemaKind::Scalar(name) => self.scalar(name),
                SchemaKind::Container(members) => {
                    self.container();
                    for (key, schema) in members {
                        self.member(&key).absorb(schema);
                    }
                }
            }
        }
    }

    fn json(&self) -> Json {
        let mut kinds: Vec<Json> = self
            .kinds
            .iter()
            .map(|kind| match kind {
                SchemaKind::Scalar(name) => Json::String((*name).to_owned()),
                SchemaKind::Container(members) => Json::Bag(
                    members
                        .iter()
                        .map(|(key, schema)| (key.clone(), schema.json()))
                        .collect(),
                ),
            })
            .collect();
        if kinds.len() == 1 {
            kinds.remove(0)
        } else {
            Json::Array(kinds)
        }
    }
}

impl Slot for Schema {
    fn feed(_: &Spec, slots: &mut [Self], groups: &[u32], args: &[Datum]) -> Result<()> {
        let mut done = Ok(());
        feed::values(groups, &args[0], |_, group, value| {
            if let (Some(json), true) = (Json::parse(value.text()), done.is_ok()) {
                done = slots[group].take(&json);
            }
        });
        done
    }

    fn merge(&mut self, _: &Spec, other: Self) -> Result<()> {
        self.absorb(other);
        Ok(())
    }

    fn finish(_: &Spec, slots: Vec<Self>) -> Result<Vec<Column>> {
        let values = slots.into_iter().map(|slot| {
            if slot.kinds.is_empty() {
                Value::Null
            } else {
                slot.json().into_value()
            }
        });
        Ok(feed::column(Type::Dynamic, values))
    }
}
