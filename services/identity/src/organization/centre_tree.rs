//! The tree of centres (the plan's 1 + 4 + N): who lies below whom, and what may be opened where.

use wire::{id::OrganizationId, v1::CentreTier};

use crate::store::centre::Model;

/// All centres.
pub struct Tree(Vec<Model>);

impl Tree {
    pub fn of(centres: Vec<Model>) -> Tree {
        Tree(centres)
    }

    /// The centre that the organization is, if it is one.
    pub fn centre(&self, id: OrganizationId) -> Option<&Model> {
        self.0.iter().find(|centre| centre.organization_id == id)
    }

    /// The centre and all below it, closed ones too: their records remain. Nothing if it is no centre.
    pub fn with_all_below(&self, id: OrganizationId) -> Vec<OrganizationId> {
        let mut found: Vec<OrganizationId> = self.centre(id).map(|centre| centre.organization_id).into_iter().collect();
        let mut done = 0;
        while let Some(above) = found.get(done).copied() {
            let below = self.0.iter().filter(|centre| centre.parent_id == Some(above));
            found.extend(below.map(|centre| centre.organization_id));
            done += 1;
        }
        found
    }
}

/// The tiers of centre that may be opened directly below one.
pub fn below(tier: CentreTier) -> &'static [CentreTier] {
    use CentreTier::{Branch, Hub, InternationalStation, Workstation};
    match tier {
        Hub => &[Branch, InternationalStation, Workstation],
        Branch => &[Workstation],
        Workstation | InternationalStation => &[],
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Id, Instant};
    use proptest::prelude::*;
    use wire::v1::CentreStatus;

    use super::*;

    fn tree(parents: &[prop::sample::Index]) -> (Tree, Vec<OrganizationId>) {
        let ids: Vec<_> = parents.iter().map(|_| OrganizationId::fresh()).collect();
        let centre = |at: usize| Model {
            organization_id: ids[at],
            tier: if at == 0 { CentreTier::Hub } else { CentreTier::Branch },
            parent_id: (at > 0).then(|| ids[parents[at].index(at)]),
            status: CentreStatus::Operating,
            opened_at: Instant(0),
        };
        (Tree::of((0..ids.len()).map(centre).collect()), ids)
    }

    proptest! {
        /// The top covers all; a centre lies below another exactly if the way up leads there.
        #[test]
        fn below_is_the_way_up_turned_round(parents in prop::collection::vec(any::<prop::sample::Index>(), 1..20)) {
            let (tree, ids) = tree(&parents);
            prop_assert_eq!(tree.with_all_below(ids[0]).len(), ids.len());
            for top in &ids {
                let covered = tree.with_all_below(*top);
                for id in &ids {
                    let up = |id: &OrganizationId| tree.centre(*id).and_then(|centre| centre.parent_id);
                    let on_the_way = std::iter::successors(Some(*id), up).any(|id| id == *top);
                    prop_assert_eq!(covered.contains(id), on_the_way);
                }
            }
        }
    }

    #[test]
    fn no_centre_lies_below_a_station_and_no_hub_below_anything() {
        use CentreTier::{Branch, Hub, InternationalStation, Workstation};
        let all = [Hub, Branch, Workstation, InternationalStation];
        let allowed: Vec<_> =
            all.iter().flat_map(|above| below(*above).iter().map(move |tier| (*above, *tier))).collect();
        assert_eq!(allowed, [(Hub, Branch), (Hub, InternationalStation), (Hub, Workstation), (Branch, Workstation)]);
        assert!(Tree::of(Vec::new()).with_all_below(OrganizationId::fresh()).is_empty());
    }
}
