//! One thing has one writer. What one of them raises, another one would lower.

use std::collections::BTreeSet;

use super::{ContradictionKind, Told, Written};
use crate::domain::{Repair, ResourceId};
use crate::estate::Estate;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knob {
    Throughput,
    Replicas,
}

/// A part of the estate that changes something by itself.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    pub(super) knob: Knob,
    pub(super) resource: ResourceId,
    /// Which part: two entries of the same part agree with each other.
    pub(super) part: &'static str,
    /// Where it says so.
    pub(super) key: String,
}

/// Everything that changes throughput and replicas, owners first.
fn writers(estate: &Estate, written: &Written<'_>) -> Vec<Writer> {
    let owner = |knob, all: &'static str| {
        move |resource: &ResourceId| Writer {
            knob,
            resource: resource.clone(),
            part: "scaling",
            key: written.scaling(resource, all, "own"),
        }
    };
    let containers = estate.scaling.containers.iter().map(|(id, _)| id);
    let apps = estate.scaling.apps.iter().map(|(id, _)| id);
    let mut all: Vec<Writer> = containers
        .map(owner(Knob::Throughput, "cosmos"))
        .chain(apps.map(owner(Knob::Replicas, "apps")))
        .collect();
    for (index, endpoint) in estate.health.endpoints.iter().enumerate() {
        if endpoint.recovery.contains(&Repair::ScaleUp) {
            all.push(Writer {
                knob: Knob::Replicas,
                resource: endpoint.app.clone(),
                part: "health",
                key: written.endpoint(index, "recovery"),
            });
        }
    }
    all
}

/// Each writer of what another part writes before it, with that one.
pub(super) fn second(writers: &[Writer]) -> Vec<(&Writer, &Writer)> {
    let mut found = Vec::new();
    for (index, writer) in writers.iter().enumerate() {
        let before = writers[..index].iter().find(|other| {
            other.knob == writer.knob
                && other.part != writer.part
                && other.resource == writer.resource
        });
        found.extend(before.map(|before| (writer, before)));
    }
    found
}

pub(super) fn find(estate: &Estate, told: &mut Told<'_>) {
    let writers = writers(estate, told.written);
    for (writer, owner) in second(&writers) {
        let what = match writer.knob {
            Knob::Throughput => "the throughput",
            Knob::Replicas => "the replicas",
        };
        let message = format!(
            "changes {what} of `{}`, which `{}` owns: one thing has one writer",
            writer.resource.short(),
            owner.key
        );
        told.tell(ContradictionKind::TwoWriters, &writer.key, message);
    }
    for (index, stamp) in estate.stamps.iter().enumerate() {
        let Some(cosmos) = &stamp.cosmos else {
            continue;
        };
        let mut names = BTreeSet::new();
        for (place, name) in cosmos.containers.iter().enumerate() {
            if !names.insert(name.to_ascii_lowercase()) {
                let key = format!("stamps[{index}].cosmos.containers[{place}]");
                let message =
                    format!("is `{name}`, which is named before: it would have two writers");
                told.tell(ContradictionKind::TwoWriters, &key, message);
            }
        }
    }
}
