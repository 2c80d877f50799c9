//! What is wrong with the guide's commands.

use std::sync::Arc;

use certificate_trees::Recipe;
use kong_pg_scenarios::suite::{Case, Suite};

/// Where the guide is wrong about its own certificates, or silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// What happens.
    pub happens: String,
    /// What to do instead.
    pub instead: String,
    /// A case that shows it.
    pub case: String,
}

impl Flaw {
    /// What the suite proves of a recipe.
    #[must_use]
    pub fn of(suite: &Suite, recipe: Recipe) -> Vec<Self> {
        let mut flaws = Vec::<Self>::new();
        let uses =
            |case: &&Arc<Case>| case.steps.first().is_some_and(|step| step.situation.tree.recipe == Some(recipe));
        for case in suite.cases().filter(uses) {
            for entry in case.documented.iter().filter(|entry| entry.claim.starts_with("configure/recipe/")) {
                if !flaws.iter().any(|known| known.happens == entry.happens) {
                    let (happens, instead) = (entry.happens.clone(), entry.instead.clone());
                    flaws.push(Self { happens, instead, case: case.id.clone() });
                }
            }
        }
        flaws
    }
}
