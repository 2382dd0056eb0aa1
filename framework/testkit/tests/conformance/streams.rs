//! The topologies of `ConformanceStreams.java`: stateless operators, repartitioning, and aggregations by
//! key.
//!
//! Knows topologies; not how a case is played.

use oncestream_core::Record;
use oncestream_operators::{Produced, StreamsBuilder};

use crate::functions::{RESET, Text, early, join, join_or_reset, show};
use crate::play::Setup;

/// The topology of a case, if it is here.
pub(crate) fn setup(case: &str) -> Option<Setup> {
    let b = StreamsBuilder::new();
    let stores: &[&str] = match case {
        "stateless" => stateless(&b),
        "merge_and_split" => merge_and_split(&b),
        "chosen_topic" => chosen_topic(&b),
        "aggregations" => aggregations(&b),
        "repartitioned" => repartitioned(&b),
        "words" => words(&b),
        _ => return None,
    };
    Some(Setup::new(b.build().unwrap(), stores))
}

type Stores = &'static [&'static str];

fn stateless(b: &StreamsBuilder) -> Stores {
    let input = b.stream::<Text, Text>("in");
    input.filter(|_, v| early(v)).map_values(|v| join(v.as_deref(), "+")).to("kept");
    input
        .filter_not(|_, v| early(v))
        .map_values_with_key(|k, v| join(k.as_deref(), v.as_deref()))
        .to("rest");
    input.map(|k, v| (v, k)).to("swapped");
    input.select_key(|k, v| join(k.as_deref(), v.as_deref())).to("keyed");
    input
        .flat_map(|k, v| if early(&v) { vec![] } else { vec![(k.clone(), v.clone()), (v, k)] })
        .to("flat");
    input
        .flat_map_values(|v| match v {
            None => vec![None],
            Some(v) => vec![Some(v.clone()), Some(v.to_uppercase())],
        })
        .to("values");
    input.peek(|_, _| ()).to("peeked");
    &[]
}

fn merge_and_split(b: &StreamsBuilder) -> Stores {
    let one = b.stream::<Text, Text>("one");
    let two = b.stream::<Text, Text>("two");
    let both = one.map_values(|v| Some(join("1", v.as_deref()))).merge(&two);
    let mut split = both.named("br-").split();
    split.branch(|_, v| early(v), "early").to("br-early");
    split.branch(|k, _| k.is_none(), "no-key").to("br-no-key");
    split.default_branch("rest").to("br-rest");
    &[]
}

fn chosen_topic(b: &StreamsBuilder) -> Stores {
    let choose =
        |r: &Record<Text, Text>, _: Option<&_>| if early(&r.value) { "early" } else { "late" };
    b.stream::<Text, Text>("in").to(Produced::chosen(choose));
    &[]
}

fn aggregations(b: &StreamsBuilder) -> Stores {
    let grouped = b.stream::<Text, Text>("in").group_by_key();
    grouped.count("counts").to_stream().map_values(show).to("counts");
    grouped
        .reduce(|all, v| Some(join(all.as_deref(), v.as_deref())), "reduced")
        .to_stream()
        .to("reduced");
    grouped
        .aggregate(String::new, |_, v, all| join(all.as_str(), v.as_deref()), "agg")
        .to_stream()
        .to("agg");
    grouped
        .aggregate(String::new, |_, v, all| join_or_reset(&all, v.as_deref()), "nulls")
        .to_stream()
        .to("nulls");
    &["counts", "reduced", "agg", "nulls"]
}

fn repartitioned(b: &StreamsBuilder) -> Stores {
    let input = b.stream::<Text, Text>("in");
    input
        .group_by(|_, v| v.clone().filter(|v| v != RESET))
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("counts");
    input
        .select_key(|_, v| v.clone())
        .group_by_key()
        .aggregate(String::new, |_, v, all| join(all.as_str(), v.as_deref()), "agg")
        .to_stream()
        .to("agg");
    input
        .map(|k, v| (v, k))
        .repartition("mid")
        .map_values(|v| join(v.as_deref(), "!"))
        .to("mid-out");
    &["counts", "agg"]
}

/// Several outputs for an input, which a cache turns into one for a key.
fn words(b: &StreamsBuilder) -> Stores {
    let split = |v: Text| v.map_or_else(Vec::new, |v| v.split(' ').map(str::to_owned).collect());
    b.stream::<Text, Text>("in")
        .flat_map_values(split)
        .group_by(|_, word: &String| word.clone())
        .count("counts")
        .to_stream()
        .map_values(show)
        .to("out");
    &["counts"]
}
