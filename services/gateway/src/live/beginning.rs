//! Who begins elsewhere in a lot's log still sees the same frames: the variable of `afterSeq` keeps no two apart.

use std::convert::Infallible;

use async_graphql::{
    Name, Positioned, Value,
    parser::types::{Directive, ExecutableDocument, Selection, SelectionSet},
};

/// The argument that says where to begin.
const BEGINNING: &str = "afterSeq";

/// The variable of `afterSeq`, if it stands nowhere else in the document.
pub fn beginning(document: &ExecutableDocument) -> Option<Name> {
    let mut found = Mentions::default();
    for (_, operation) in document.operations.iter() {
        found.directives(&operation.node.directives);
        found.selections(&operation.node.selection_set);
    }
    for fragment in document.fragments.values() {
        found.directives(&fragment.node.directives);
        found.selections(&fragment.node.selection_set);
    }
    let (name, _) = found.0.iter().find(|(_, begins)| *begins)?;
    (found.0.iter().filter(|(other, _)| other == name).count() == 1).then(|| name.clone())
}

/// Each place where a variable stands, and whether it is that of the beginning.
#[derive(Default)]
struct Mentions(Vec<(Name, bool)>);

impl Mentions {
    fn selections(&mut self, set: &Positioned<SelectionSet>) {
        for item in &set.node.items {
            self.directives(item.node.directives());
            match &item.node {
                Selection::Field(field) => {
                    for (argument, value) in &field.node.arguments {
                        let alone = argument.node == BEGINNING;
                        drop(value.node.clone().into_const_with(|name| noted(name, alone, &mut self.0)));
                    }
                    self.selections(&field.node.selection_set);
                }
                Selection::InlineFragment(inline) => self.selections(&inline.node.selection_set),
                // Fragments are walked by themselves.
                Selection::FragmentSpread(_) => {}
            }
        }
    }

    fn directives(&mut self, directives: &[Positioned<Directive>]) {
        for (_, value) in directives.iter().flat_map(|directive| &directive.node.arguments) {
            drop(value.node.clone().into_const_with(|name| noted(name, false, &mut self.0)));
        }
    }
}

fn noted(name: Name, begins: bool, found: &mut Vec<(Name, bool)>) -> Result<Value, Infallible> {
    found.push((name, begins));
    Ok(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::*;
    use async_graphql::parser::parse_query;

    #[test]
    fn only_a_variable_that_does_nothing_else() {
        for (text, expected) in [
            (
                "subscription($s: ID!, $n: Int) { a: auctionEvents(sessionId: $s, afterSeq: $n) { event { seq } } }",
                Some("n"),
            ),
            (
                "subscription { ...F } fragment F on Subscription { auctionEvents(sessionId: $s, afterSeq: $n) { x } }",
                Some("n"),
            ),
            ("subscription { auctionEvents(sessionId: $s, afterSeq: 3) { x } }", None),
            ("subscription { auctionEvents(sessionId: $s) { x(first: $n) } }", None),
            ("subscription { auctionEvents(sessionId: $s, afterSeq: $n) { x(first: $n) } }", None),
            ("subscription { auctionEvents(sessionId: $s, afterSeq: $n) { x @include(if: $n) } }", None),
            ("subscription { auctionEvents(sessionId: $s, afterSeq: $n) { x(of: [{ a: $n }]) } }", None),
        ] {
            let found = beginning(&parse_query(text).unwrap());
            assert_eq!(found.as_ref().map(Name::as_str), expected, "{text}");
        }
    }
}
