//! R6: random operations against a naive model that keeps nothing but the list of transfers and adds up
//! everything anew at each step. 200 sequences of 100 steps; `PROPTEST_CASES=10000` makes it a million.

use kernel::Id;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;

const STEPS: usize = 100;
/// BANK, FEES and four organizations; the account after them is unknown to the book.
const ACCOUNTS: u8 = 6;

#[derive(Clone, Debug)]
enum Step {
    Transact(u8, u8, u8, i64),
    Hold(u8, u8, u8, i64),
    Post(u8, i64),
    Void(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let amount = || prop_oneof![8 => 1..400_i64, 1 => -1..=0_i64, 1 => Just(i64::MAX), 1 => Just(i64::MAX / 2)];
    // BANK pays in more often than others, so that there is something to spend.
    let debit = || prop_oneof![2 => Just(0_u8), 5 => 0..=ACCOUNTS];
    let sides = move || (0..60_u8, debit(), 0..=ACCOUNTS, amount());
    prop_oneof![
        3 => sides().prop_map(|(id, debit, credit, amount)| Step::Transact(id, debit, credit, amount)),
        4 => sides().prop_map(|(id, debit, credit, amount)| Step::Hold(id, debit, credit, amount)),
        3 => (0..60_u8, amount()).prop_map(|(id, amount)| Step::Post(id, amount)),
        2 => (0..60_u8).prop_map(Step::Void),
    ]
}

fn account_id(n: u8) -> AccountId {
    AccountId(Uuid::from_u128(u128::from(n)))
}

fn transfer_id(n: u8) -> TransferId {
    TransferId(Uuid::from_u128(u128::from(n)))
}

fn kind(n: u8) -> AccountKind {
    [AccountKind::Bank, AccountKind::Fees].get(usize::from(n)).copied().unwrap_or(AccountKind::Organization)
}

fn empty_book() -> Book {
    let account = |n| (account_id(n), Account { kind: kind(n), balance: Money::ZERO, held: Money::ZERO });
    Book::new((0..ACCOUNTS).map(account), [])
}

/// A transfer as the model knows it: id, debit, credit, amount, and what was posted once it is resolved.
#[derive(Clone)]
struct Line(u8, u8, u8, i128, Option<i128>);

#[derive(Clone, Default)]
struct Model(Vec<Line>);

impl Model {
    fn balance(&self, n: u8) -> i128 {
        let signed = |Line(_, debit, credit, _, posted): &Line| {
            (i128::from(*credit == n) - i128::from(*debit == n)) * posted.unwrap_or(0)
        };
        self.0.iter().map(signed).sum()
    }

    fn held(&self, n: u8) -> i128 {
        self.0.iter().filter(|line| line.1 == n && line.4.is_none()).map(|line| line.3).sum()
    }

    /// The model after the step if the rules of this page allow it.
    fn after(&self, step: &Step) -> Option<Model> {
        let mut next = self.clone();
        match *step {
            Step::Transact(id, debit, credit, amount) | Step::Hold(id, debit, credit, amount) => {
                let fresh = self.0.iter().all(|line| line.0 != id);
                let posted = matches!(step, Step::Transact(..)).then_some(i128::from(amount));
                if !fresh || amount <= 0 || debit == credit {
                    return None;
                }
                next.0.push(Line(id, debit, credit, amount.into(), posted));
            }
            Step::Post(id, amount) => {
                let line = next.0.iter_mut().find(|line| line.0 == id && line.4.is_none())?;
                if !(1..=line.3).contains(&i128::from(amount)) {
                    return None;
                }
                line.4 = Some(amount.into());
            }
            Step::Void(id) => next.0.iter_mut().find(|line| line.0 == id && line.4.is_none())?.4 = Some(0),
        }
        let known = next.0.iter().all(|line| line.1 < ACCOUNTS && line.2 < ACCOUNTS);
        let in_range = |sum: i128| i64::try_from(sum).is_ok();
        let sound = |n| {
            let (balance, held) = (next.balance(n), next.held(n));
            let covered = kind(n) != AccountKind::Organization || balance >= held;
            in_range(balance) && in_range(held) && covered
        };
        (known && (0..ACCOUNTS).all(sound)).then_some(next)
    }
}

fn apply(book: &mut Book, step: &Step) -> Result<(), Refused> {
    let movement = |debit, credit, amount| Movement {
        debit: account_id(debit),
        credit: account_id(credit),
        amount: Money(amount),
    };
    match *step {
        Step::Transact(id, debit, credit, amount) => book.transact(transfer_id(id), movement(debit, credit, amount)),
        Step::Hold(id, debit, credit, amount) => book.hold(transfer_id(id), movement(debit, credit, amount)),
        Step::Post(id, amount) => book.post(transfer_id(id), Money(amount)),
        Step::Void(id) => book.void(transfer_id(id)),
    }
}

fn config() -> ProptestConfig {
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases } else { 200 };
    ProptestConfig { cases, failure_persistence: None, ..asked }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn random_operations_agree_with_the_naive_model(steps in prop::collection::vec(step(), STEPS)) {
        let (mut book, mut model) = (empty_book(), Model::default());
        for step in &steps {
            let before = book.clone();
            match (apply(&mut book, step), model.after(step)) {
                (Ok(()), Some(next)) => model = next,
                (Err(_), None) => prop_assert_eq!(&book, &before, "a refusal changed something"),
                (outcome, _) => prop_assert!(false, "{step:?} is {outcome:?}, the model says otherwise"),
            }
            let mut total = 0;
            for n in 0..ACCOUNTS {
                let account = book.account(account_id(n)).unwrap();
                prop_assert_eq!(i128::from(account.balance.0), model.balance(n));
                prop_assert_eq!(i128::from(account.held.0), model.held(n));
                prop_assert!(account.held.0 >= 0);
                prop_assert!(account.kind != AccountKind::Organization || account.balance >= account.held);
                total += i128::from(account.balance.0);
            }
            prop_assert_eq!(total, 0);
        }
    }
}

#[test]
fn a_hold_is_resolved_once() {
    let mut book = empty_book();
    apply(&mut book, &Step::Transact(0, 0, 2, 100)).unwrap();
    apply(&mut book, &Step::Hold(1, 2, 3, 60)).unwrap();
    let missing = Money(1);
    assert_eq!(apply(&mut book, &Step::Hold(2, 2, 3, 41)), Err(Refused::InsufficientFunds { missing }));
    assert_eq!(apply(&mut book, &Step::Post(1, 61)), Err(Refused::AmountAbovePending));
    apply(&mut book, &Step::Post(1, 50)).unwrap();
    for again in [Step::Post(1, 1), Step::Void(1)] {
        assert_eq!(apply(&mut book, &again), Err(Refused::AlreadyResolved));
    }
    assert_eq!(book.account(account_id(2)).unwrap().available(), Ok(Money(50)));
    assert_eq!(book.account(account_id(3)).unwrap().balance, Money(50));
}

#[test]
fn refusals_come_in_their_order() {
    let mut book = empty_book();
    apply(&mut book, &Step::Transact(0, 0, 2, 100)).unwrap();
    for (step, refused) in [
        (Step::Transact(0, 2, 2, 0), Refused::TransferExists),
        (Step::Transact(1, 2, 2, 0), Refused::AmountNotPositive),
        (Step::Transact(1, 9, 9, 1), Refused::SameAccount),
        (Step::Hold(1, 2, 9, 101), Refused::UnknownAccount),
        (Step::Hold(1, 2, 3, 101), Refused::InsufficientFunds { missing: Money(1) }),
        (Step::Post(1, 0), Refused::UnknownTransfer),
        (Step::Void(0), Refused::AlreadyResolved),
    ] {
        assert_eq!(apply(&mut book, &step), Err(refused), "{step:?}");
    }
    assert_eq!(transfer_id(0).uuid(), Uuid::from_u128(0));
}

#[test]
fn an_account_is_sound_only_if_its_entries_say_so() {
    let account = Account { kind: AccountKind::Organization, balance: Money(70), held: Money(20) };
    let audited = Audited { account, credited: Money(100), debited: Money(30), bound: Money(20) };
    assert!(audited.is_sound());
    for wrong in [
        Audited { credited: Money(101), ..audited },
        Audited { debited: Money(29), ..audited },
        Audited { bound: Money(21), ..audited },
        Audited { account: Account { held: Money(80), ..account }, bound: Money(80), ..audited },
    ] {
        assert!(!wrong.is_sound(), "{wrong:?}");
    }
}
