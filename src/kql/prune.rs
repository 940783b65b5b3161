//! What a query does not need is not read: columns nobody looks at, and rows that a filter refuses.

use std::sync::Arc;

use super::expr::{Expr, ExprKind, Op};
use super::plan::{Bound, Join, JoinKind, Node, Plan, SortKey, Test};
use super::types::Type;
use super::value::Value;

/// The plan with all of its columns wanted.
#[must_use]
pub(super) fn prune(plan: Plan) -> Plan {
    let wanted = vec![true; plan.schema.len()];
    prune_to(plan, &wanted)
}

/// The plan with only some of its columns wanted: the others are [`super::column::Column::absent`].
#[must_use]
pub(crate) fn prune_to(plan: Plan, wanted: &[bool]) -> Plan {
    prune_with(plan, wanted, &[])
}

/// `bounds` hold for every row that is of use.
fn prune_with(plan: Plan, wanted: &[bool], bounds: &[Bound]) -> Plan {
    let Plan {
        schema,
        ordered,
        node,
    } = plan;
    let node = match node {
        Node::Scan {
            name,
            source,
            wanted: _,
            bounds: mut own,
        } => {
            own.extend_from_slice(bounds);
            Node::Scan {
                name,
                source,
                wanted: wanted.to_vec(),
                bounds: own,
            }
        }
        Node::Filter { input, predicate } => {
            let mut below = wanted.to_vec();
            predicate.mark(&mut below);
            // Functions of the whole table see rows that would not pass.
            let bounds = if predicate.is_ordered() {
                Vec::new()
            } else {
                let mut all = bounds.to_vec();
                bounds_of(&predicate, &mut all);
                all
            };
            Node::Filter {
                input: Arc::new(prune_with(owned(input), &below, &bounds)),
                predicate,
            }
        }
        Node::Project { input, exprs } => {
            let mut below = vec![false; input.schema.len()];
            let kept: Vec<Expr> = exprs
                .iter()
                .zip(wanted)
                .map(|(expr, wanted)| {
                    if *wanted {
                        expr.mark(&mut below);
                        expr.clone()
                    } else {
                        Expr::absent(expr.ty)
                    }
                })
                .collect();
            // A bound on a column that is passed on is one on the input's. Not through functions of
            // the whole table: their results change when rows go.
            let passed = if exprs.iter().any(Expr::is_ordered) {
                Vec::new()
            } else {
                bounds
                    .iter()
                    .filter_map(|bound| match exprs[bound.column].kind {
                        ExprKind::Column(at) => Some(Bound {
                            column: at,
                            test: bound.test.clone(),
                        }),
                        _ => None,
                    })
                    .collect()
            };
            Node::Project {
                input: Arc::new(prune_with(owned(input), &below, &passed)),
                exprs: Arc::new(kept),
            }
        }
        Node::Summarize { input, keys, calls } => {
            let mut below = vec![false; input.schema.len()];
            keys.iter().for_each(|key| key.mark(&mut below));
            for call in calls.iter() {
                call.args
                    .iter()
                    .chain(&call.filter)
                    .for_each(|expr| expr.mark(&mut below));
            }
            // A bound on a key that is a column holds for the rows of its group.
            let passed: Vec<Bound> = bounds
                .iter()
                .filter_map(|bound| match keys.get(bound.column)?.kind {
                    ExprKind::Column(at) => Some(Bound {
                        column: at,
                        test: bound.test.clone(),
                    }),
                    _ => None,
                })
                .collect();
            Node::Summarize {
                input: Arc::new(prune_with(owned(input), &below, &passed)),
                keys,
                calls,
            }
        }
        Node::Sort { input, keys } => {
            let below = with_keys(wanted, &keys);
            Node::Sort {
                input: Arc::new(prune_with(owned(input), &below, bounds)),
                keys,
            }
        }
        Node::Top { input, keys, count } => {
            let below = with_keys(wanted, &keys);
            Node::Top {
                input: Arc::new(prune_to(owned(input), &below)),
                keys,
                count,
            }
        }
        Node::Take { input, count } => Node::Take {
            input: Arc::new(prune_to(owned(input), wanted)),
            count,
        },
        Node::Join(join) => Node::Join(Arc::new(join_pruned(&join, wanted))),
        Node::Union(inputs) => Node::Union(
            inputs
                .into_iter()
                .map(|input| Arc::new(prune_with(owned(input), wanted, bounds)))
                .collect(),
        ),
        Node::Stream { input, stage } => {
            let below = stage.needs(wanted, input.schema.len());
            Node::Stream {
                input: Arc::new(prune_to(owned(input), &below)),
                stage,
            }
        }
        Node::Breaker { input, stage } => {
            let below = stage.needs(wanted, input.schema.len());
            Node::Breaker {
                input: Arc::new(prune_to(owned(input), &below)),
                stage,
            }
        }
        node @ (Node::Rows(_) | Node::Print(_) | Node::Range { .. } | Node::Shared(_)) => node,
    };
    Plan {
        schema,
        ordered,
        node,
    }
}

fn owned(plan: Arc<Plan>) -> Plan {
    Arc::try_unwrap(plan).unwrap_or_else(|shared| shared.as_ref().clone())
}

fn with_keys(wanted: &[bool], keys: &[SortKey]) -> Vec<bool> {
    let mut below = wanted.to_vec();
    keys.iter().for_each(|key| key.expr.mark(&mut below));
    below
}

fn join_pruned(join: &Join, wanted: &[bool]) -> Join {
    let (left_width, right_width) = (join.left.schema.len(), join.right.schema.len());
    let (mut left, mut right) = match join.kind {
        JoinKind::LeftSemi | JoinKind::LeftAnti => (wanted.to_vec(), vec![false; right_width]),
        JoinKind::RightSemi | JoinKind::RightAnti => (vec![false; left_width], wanted.to_vec()),
        _ => (wanted[..left_width].to_vec(), wanted[left_width..].to_vec()),
    };
    join.left_keys.iter().for_each(|key| key.mark(&mut left));
    join.right_keys.iter().for_each(|key| key.mark(&mut right));
    Join {
        kind: join.kind,
        left: Arc::new(prune_to(join.left.as_ref().clone(), &left)),
        right: Arc::new(prune_to(join.right.as_ref().clone(), &right)),
        left_keys: join.left_keys.clone(),
        right_keys: join.right_keys.clone(),
    }
}

/// What a predicate says of single columns.
fn bounds_of(predicate: &Expr, out: &mut Vec<Bound>) {
    let ExprKind::Op(op, args) = &predicate.kind else {
        return;
    };
    match op {
        Op::And => args.iter().for_each(|arg| bounds_of(arg, out)),
        Op::Equal | Op::Less | Op::LessEqual | Op::Greater | Op::GreaterEqual => {
            let [left, right] = args.as_slice() else {
                return;
            };
            let (column, value, turned) =
                match (&left.kind, right.as_const(), left.as_const(), &right.kind) {
                    (ExprKind::Column(column), Some(value), _, _) => (*column, value, false),
                    (_, _, Some(value), ExprKind::Column(column)) => (*column, value, true),
                    _ => return,
                };
            if matches!(left.ty, Type::Dynamic | Type::Decimal | Type::Guid)
                || *value == Value::Null
            {
                return;
            }
            let value = value.clone();
            let test = match (op, turned) {
                (Op::Equal, _) => Test::OneOf(vec![value]),
                (Op::Less, false) | (Op::Greater, true) => Test::Below {
                    value,
                    strict: true,
                },
                (Op::LessEqual, false) | (Op::GreaterEqual, true) => Test::Below {
                    value,
                    strict: false,
                },
                (Op::Greater, false) | (Op::Less, true) => Test::Above {
                    value,
                    strict: true,
                },
                _ => Test::Above {
                    value,
                    strict: false,
                },
            };
            out.push(Bound { column, test });
        }
        _ => {}
    }
}
