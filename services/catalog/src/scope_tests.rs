//! Who reaches what, and who stands on which side: what only the database can prove.

use kernel::{ActingFor, Actor, ErrorCode, Id, Role};
use wire::{
    id::{MandateId, OrganizationId},
    v1::{self, ReviewDecision},
};

use crate::story_tests::{Town, ask, by, person, town};

/// Staff of a centre that reaches these.
fn staff(name: &str, roles: &[Role], reaches: &[OrganizationId]) -> Actor {
    let mut actor = person(name, OrganizationId::fresh(), roles, true);
    for place in &mut actor.memberships {
        place.hub = false;
        place.centres = reaches.iter().map(|centre| centre.text()).collect();
    }
    actor
}

/// The broker with a mandate of the principal as well.
fn under(broker: &Actor, mandate: MandateId, principal: OrganizationId) -> Actor {
    let mut actor = broker.clone();
    actor.memberships.push(ActingFor {
        organization_id: principal.text(),
        roles: vec![Role::Broker.into()],
        verified: true,
        mandate_id: mandate.text(),
        ..ActingFor::default()
    });
    actor
}

async fn seen(town: &Town, actor: &Actor) -> Vec<String> {
    town.listings(actor, v1::ListListingsRequest::default()).await.into_iter().map(|listing| listing.id).collect()
}

async fn finds(town: &Town, actor: &Actor, id: &str) -> bool {
    let wanted = v1::Ids { ids: vec![id.into()] };
    !town.catalog.clone().get_listings(by(actor, wanted)).await.unwrap().into_inner().items.is_empty()
}

async fn applications(town: &Town, actor: &Actor) -> usize {
    let wanted = v1::ListTransferApplicationsRequest::default();
    town.catalog.clone().list_transfer_applications(by(actor, wanted)).await.unwrap().into_inner().items.len()
}

async fn total(town: &Town, actor: &Actor, centres: &[OrganizationId]) -> Option<i64> {
    let wanted = v1::TotalsRequest { centre_ids: centres.iter().map(|centre| centre.text()).collect() };
    Some(town.catalog.clone().get_totals(by(actor, wanted)).await.ok()?.into_inner().listings)
}

#[tokio::test]
async fn staff_reach_the_listings_of_their_centres_and_no_others() {
    use ErrorCode::{Forbidden, NotFound};
    let town = town().await;
    let (here, there) = (town.registry.centre, OrganizationId::fresh());
    let roles = [Role::Reviewer, Role::Qualifier];
    let [near, far, above] =
        [staff("near", &roles, &[here]), staff("far", &roles, &[there]), staff("above", &roles, &[here, there])];
    let half = Actor { second_factor: false, ..near.clone() };
    let draft = ask!(town, create_listing, &town.broker, listing, town.terms()).unwrap();
    assert_eq!(draft.centre_id, here.text());
    let submit = v1::SubmitListingInput { listing_id: draft.id.clone() };
    ask!(town, submit_listing, &town.broker, listing, submit).unwrap();
    for (actor, sees) in [(&near, true), (&above, true), (&town.reviewer, true), (&far, false), (&half, false)] {
        assert_eq!(seen(&town, actor).await.len(), usize::from(sees), "{actor:?}");
        assert_eq!(finds(&town, actor, &draft.id).await, sees, "{actor:?}");
    }
    assert_eq!(town.review(&far, &draft.id, ReviewDecision::Approve).await, Err(NotFound));
    assert_eq!(town.review(&half, &draft.id, ReviewDecision::Approve).await, Err(NotFound));
    let clerk = staff("clerk", &[Role::HallClerk], &[here]);
    assert_eq!(town.review(&clerk, &draft.id, ReviewDecision::Approve).await, Err(Forbidden));
    town.review(&near, &draft.id, ReviewDecision::Approve).await.unwrap();

    let bidder = person("bidder", OrganizationId::fresh(), &[Role::Bidder], false);
    let application = town.apply(&bidder, &draft.id).await.unwrap();
    for (actor, sees) in [(&bidder, 1), (&near, 1), (&above, 1), (&far, 0), (&half, 0), (&town.broker, 0)] {
        assert_eq!(applications(&town, actor).await, sees, "{actor:?}");
        assert_eq!(town.application(actor, &application.id).await.is_some(), sees == 1, "{actor:?}");
    }
    let approve = v1::ReviewTransferApplicationInput {
        transfer_application_id: application.id.clone(),
        approve: true,
        ..v1::ReviewTransferApplicationInput::default()
    };
    assert_eq!(ask!(town, review_transfer_application, &far, transfer_application, approve.clone()), Err(NotFound));
    ask!(town, review_transfer_application, &near, transfer_application, approve).unwrap();

    // The organization moves on to another centre, and so do its later listings; the earlier one stays.
    town.registry.centres.lock().unwrap().insert(town.university.text(), there);
    let later = ask!(town, create_listing, &town.broker, listing, town.terms()).unwrap();
    assert_eq!(seen(&town, &far).await, [later.id.clone(), draft.id.clone()], "one is theirs, one is public");
    assert_eq!(seen(&town, &near).await, std::slice::from_ref(&draft.id));

    assert_eq!(total(&town, &near, &[here]).await, Some(1));
    assert_eq!(total(&town, &far, &[there]).await, Some(0), "a draft was never disclosed");
    assert_eq!(total(&town, &above, &[here, there]).await, Some(1));
    assert_eq!(total(&town, &town.reviewer, &[]).await, Some(1));
    assert_eq!(total(&town, &Actor::exchange(), &[]).await, Some(1));
    for (actor, centres) in [(&near, vec![there]), (&near, vec![]), (&town.broker, vec![here]), (&half, vec![here])] {
        assert_eq!(total(&town, actor, &centres).await, None, "{actor:?}");
    }
}

#[tokio::test]
async fn a_mandate_opens_the_listing_made_under_it_alone() {
    use ErrorCode::{AlreadyExists, NotFound};
    let town = town().await;
    let agency = person("agent", OrganizationId::fresh(), &[Role::Broker], false);
    let (mandate, other) = (MandateId::fresh(), MandateId::fresh());
    let agent = under(&agency, mandate, town.university);
    let rival = under(&person("rival", OrganizationId::fresh(), &[Role::Broker], false), other, town.university);
    let own = ask!(town, create_listing, &town.broker, listing, town.terms()).unwrap();

    let mandated = v1::CreateListingInput { mandate_id: Some(mandate.text()), ..town.terms() };
    assert_eq!(ask!(town, create_listing, &agent, listing, town.terms()), Err(NotFound), "no mandate, no member");
    assert_eq!(ask!(town, create_listing, &rival, listing, mandated.clone()), Err(NotFound), "another's mandate");
    assert_eq!(ask!(town, create_listing, &town.broker, listing, mandated.clone()), Err(NotFound), "not the broker");
    let house = v1::CreateListingInput { organization_id: agency.memberships[0].organization_id.clone(), ..mandated };
    assert_eq!(ask!(town, create_listing, &agent, listing, house), Err(NotFound), "of another principal");
    let mandated = v1::CreateListingInput { mandate_id: Some(mandate.text()), ..town.terms() };
    let listing = ask!(town, create_listing, &agent, listing, mandated.clone()).unwrap();
    assert_eq!((listing.mandate_id, listing.organization_id), (Some(mandate.text()), town.university.text()));
    assert_eq!(ask!(town, create_listing, &agent, listing, mandated), Err(AlreadyExists));

    assert_eq!(seen(&town, &agent).await, std::slice::from_ref(&listing.id));
    assert!(finds(&town, &agent, &listing.id).await && !finds(&town, &agent, &own.id).await);
    assert_eq!(seen(&town, &rival).await, Vec::<String>::new());
    assert_eq!(seen(&town, &agency).await, Vec::<String>::new(), "the mandate is over");
    assert_eq!(seen(&town, &town.broker).await, [listing.id.clone(), own.id.clone()]);
    let submit = |id: &str| v1::SubmitListingInput { listing_id: id.into() };
    assert_eq!(ask!(town, submit_listing, &agent, listing, submit(&own.id)), Err(NotFound));
    assert_eq!(ask!(town, submit_listing, &rival, listing, submit(&listing.id)), Err(NotFound));
    ask!(town, submit_listing, &agent, listing, submit(&listing.id)).unwrap();

    let records = vec![v1::ImportRecord { source: "x".into(), source_id: "1".into(), ..Default::default() }];
    let import = v1::ImportRequest { organization_id: town.university.text(), records };
    assert!(town.catalog.clone().import(by(&agent, import)).await.is_err());
}

#[tokio::test]
async fn whoever_stands_on_both_sides_does_not_apply() {
    use ErrorCode::ConflictOfInterest;
    let town = town().await;
    let listing = town.disclosed().await;
    let bidder = person("bidder", OrganizationId::fresh(), &[Role::Bidder], false);
    let with = |other: &Actor| {
        let mut actor = bidder.clone();
        actor.memberships.extend(other.memberships.clone());
        actor
    };
    let runs = staff("runs", &[Role::HallClerk], &[town.registry.centre]);
    let elsewhere = staff("elsewhere", &[Role::HallClerk], &[OrganizationId::fresh()]);
    // Roles that rest without a second factor stand in the way all the same.
    let rests = Actor { second_factor: false, ..with(&runs) };
    for insider in [&with(&runs), &rests, &with(&town.qualifier), &under(&bidder, MandateId::fresh(), town.university)]
    {
        assert_eq!(town.apply(insider, &listing.id).await, Err(ConflictOfInterest), "{insider:?}");
    }
    // Somebody else of the applicant, or a declared connection: identity knows.
    let applicant = bidder.memberships[0].organization_id.clone();
    town.registry.conflicts.lock().unwrap().push(applicant);
    assert_eq!(town.apply(&bidder, &listing.id).await, Err(ConflictOfInterest));
    town.registry.conflicts.lock().unwrap().clear();
    town.apply(&with(&elsewhere), &listing.id).await.unwrap();
}
