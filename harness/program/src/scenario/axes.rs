//! The points of a scenario's axes, and which of them something is said of.

use indexmap::IndexMap;

use super::model::{Override, Points};
use super::yaml::{Segment, Target};

/// A point: of each axis, the name of the axis and of the point on it.
pub(super) type Point<'a> = Vec<(&'a str, &'a str)>;

/// The axes of a scenario.
pub(super) type Axes = IndexMap<String, IndexMap<String, Override>>;

/// What is wrong where points are named: the way to it, what, and what was expected.
pub(super) type Wrong = (Vec<Segment>, Target, String, String);

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

/// Whether a point is among those that are named; an axis that is not named may have any.
pub(super) fn is_at(point: &Point<'_>, when: &IndexMap<String, Points>) -> bool {
    let named = |axis: &str, name: &str| when.get(axis).is_none_or(|points| points.names().iter().any(|n| n == name));
    point.iter().all(|(axis, name)| named(axis, name))
}

/// Checks that the axes and points named exist.
pub(super) fn check(axes: &Axes, when: &IndexMap<String, Points>) -> Vec<Wrong> {
    let mut wrongs = Vec::new();
    for (axis, points) in when {
        let path = vec![Segment::Key(axis.clone())];
        let Some(known) = axes.get(axis) else {
            let help = format!("the scenario has the axes: {}", names(axes.keys()));
            wrongs.push((path, Target::Key { occurrence: 0 }, format!("no axis is called `{axis}`"), help));
            continue;
        };
        for (place, point) in points.names().iter().enumerate().filter(|(_, point)| !known.contains_key(*point)) {
            let mut path = path.clone();
            path.extend(matches!(points, Points::Several(_)).then_some(Segment::Index(place)));
            let message = format!("the axis `{axis}` has no point `{point}`");
            wrongs.push((path, Target::Value, message, format!("expected one of {}", names(known.keys()))));
        }
    }
    wrongs
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.cloned().collect::<Vec<_>>().join(", ")
}
