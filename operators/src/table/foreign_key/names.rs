//! The names of what a foreign-key join adds, generated in the order of Kafka Streams.

use crate::dsl::Dsl;
use crate::options::{Named, StoreName};

const RESULT: &str = "KTABLE-FK-JOIN-OUTPUT-";

/// The names of one join.
pub(super) struct Names {
    /// Without `-topic`.
    pub(super) subscription_topic: String,
    pub(super) sender: String,
    pub(super) subscription_sink: String,
    pub(super) subscription_source: String,
    pub(super) store: StoreName,
    pub(super) receiver: String,
    pub(super) answerer: String,
    pub(super) notifier: String,
    /// Without `-topic`.
    pub(super) response_topic: String,
    pub(super) response_sink: String,
    pub(super) response_source: String,
    pub(super) resolver: String,
    pub(super) result: String,
    /// The store that the result gets on need, and the number in its name.
    pub(super) result_store: (StoreName, usize),
}

impl Names {
    /// The name of the join begins them, if it has one. As in Kafka Streams, each uses up a number also
    /// then.
    pub(super) fn generate(dsl: &Dsl, given: Option<&Named>) -> Self {
        let name = |suffix, prefix: &str| dsl.suffixed(given, suffix, &format!("KTABLE-{prefix}"));
        let of_join = |suffix, prefix: &str| name(suffix, &format!("FK-JOIN-{prefix}"));
        let registration = "SUBSCRIPTION-REGISTRATION-";
        let processor = "SUBSCRIPTION-PROCESSOR-";
        // Fields are made in the order that they are written in.
        let names = Self {
            subscription_topic: of_join("-subscription-registration", registration),
            sender: of_join("-subscription-registration-processor", registration),
            subscription_sink: name("-subscription-registration-sink", "SINK-"),
            subscription_source: name("-subscription-registration-source", "SOURCE-"),
            store: StoreName {
                name: of_join("-subscription-store", "SUBSCRIPTION-STATE-STORE-"),
                generated: given.is_none(),
            },
            receiver: of_join("-subscription-receive", processor),
            answerer: of_join("-subscription-join-foreign", processor),
            notifier: of_join("-foreign-join-subscription", processor),
            response_topic: of_join("-subscription-response", "SUBSCRIPTION-RESPONSE-"),
            response_sink: name("-subscription-response-sink", "SINK-"),
            response_source: name("-subscription-response-source", "SOURCE-"),
            resolver: of_join(
                "-subscription-response-resolver",
                "SUBSCRIPTION-RESPONSE-RESOLVER-PROCESSOR-",
            ),
            result: dsl.suffixed(given, "-result", RESULT),
            result_store: {
                let number = dsl.next_number();
                (StoreName::generate(dsl, RESULT), number)
            },
        };
        if given.is_none() {
            dsl.note_generated_store(&names.store.name);
            dsl.note_generated_repartition(&names.subscription_topic);
            dsl.note_generated_repartition(&names.response_topic);
        }
        names
    }
}
