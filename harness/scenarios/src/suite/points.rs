//! The points of a scenario's axes.

use crate::format::{At, Axes, Points};
use crate::load::{Problem, Segment, key, some_of};

/// A point: of each axis, the name of the axis and of the point on it.
pub(super) type Point<'a> = Vec<(&'a str, &'a str)>;

/// All points.
pub(super) fn points(axes: &Axes) -> Vec<Point<'_>> {
    let mut all = vec![Point::new()];
    for (axis, names) in axes {
        let with = |point: &[_], name| [point, &[(axis.as_str(), name)]].concat();
        let extended = all.iter().flat_map(|point| names.keys().map(|name| with(point, name.as_str())));
        all = extended.collect();
    }
    all
}

/// Whether a point is among those that are named; an axis that is not named may be at any of its points.
pub(super) fn is_at(point: &Point<'_>, at: &At) -> bool {
    let named = |axis: &str, name: &str| at.get(axis).is_none_or(|points| points.names().iter().any(|n| n == name));
    point.iter().all(|(axis, name)| named(axis, name))
}

/// Checks that the axes and points named exist.
pub(super) fn check(axes: &Axes, at: &At) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (axis, points) in at {
        let Some(known) = axes.get(axis) else {
            let known: Vec<_> = axes.keys().cloned().collect();
            let help = if known.is_empty() { "the scenario has no axes".into() } else { some_of(axis, &known, "") };
            problems.push(Problem::key(vec![key(axis)], format!("no axis is called `{axis}`"), help));
            continue;
        };
        let names: Vec<_> = known.keys().cloned().collect();
        for (index, point) in points.names().iter().enumerate().filter(|(_, point)| !known.contains_key(*point)) {
            let item = matches!(points, Points::Several(_)).then_some(Segment::Index(index));
            let path = [key(axis)].into_iter().chain(item).collect();
            let help = some_of(point, &names, "the axis is at the top of the file");
            problems.push(Problem::value(path, format!("the axis `{axis}` has no point `{point}`"), help));
        }
    }
    problems
}
