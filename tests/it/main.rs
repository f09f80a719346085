//! Stories told through the public doors of the exchange. One binary, one file per story; `lanes!` tells
//! a story once per way of running the exchange.
#![cfg(test)]

mod tidy;
