//! A hall, its online bidders and a terminal that loses the network, on a database of their own.

mod court;
mod cut_off;
mod hammer;
mod silence;
