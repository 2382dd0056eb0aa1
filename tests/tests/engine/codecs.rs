//! Topics that other clients have compressed are read, whatever the codec.

use oncestream::prelude::*;
use oncestream_tests::application::*;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseRecord, Producer, ThreadedProducer};

#[tokio::test(flavor = "multi_thread")]
async fn every_codec_is_read_with_the_features_that_are_on_by_default() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let app = Application::new(codec);
        let (input, output) = (app.create("in", 1).await, app.create("out", 1).await);
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", servers()).set("compression.type", codec);
        let producer: ThreadedProducer<_> = config.set("linger.ms", "50").create().unwrap();
        let value = "compressible ".repeat(50);
        for _ in 0..20 {
            producer.send(BaseRecord::<str, str>::to(&input).payload(&value)).unwrap();
        }
        producer.flush(DEADLINE).unwrap();
        let builder = StreamsBuilder::new();
        builder.stream::<Option<String>, String>(&input).to(&output);
        // What the application writes is compressed alike.
        let settings = [("producer.compression.type", codec)];
        let streams = app.streams(builder.build().unwrap(), &settings);
        let streams = start(streams).await;
        wait_until("all of them", || {
            assert_ne!(streams.state(), ClientState::Error, "{codec}");
            visible(&output).len() >= 20
        });
        stop(&streams).await;
        assert_eq!(visible_texts(&output), vec![value; 20], "{codec}");
    }
}
