// Checks of a broker with franz-go, a client that shares no code with librdkafka or with Java.
//
// The only argument is the broker's address. A check returns an error when the broker is wrong.
// Its line "ok <check>" on standard output is what the Rust test counts; the first failure ends the
// program with its reason and status 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A check may take this long, which only one that hangs does.
const deadline = time.Minute

type check struct {
	name string
	run  func(context.Context, string) error
}

func main() {
	checks := []check{
		{"produce-and-consume", produceAndConsume},
		{"two-in-a-group", twoInAGroup},
		{"committed-and-aborted", committedAndAborted},
		{"consume-transform-produce", consumeTransformProduce},
		{"fenced-by-the-same-id", fencedByTheSameID},
	}
	for _, check := range checks {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		err := check.run(ctx, os.Args[1])
		cancel()
		if err != nil {
			fmt.Printf("failed %s: %v\n", check.name, err)
			os.Exit(1)
		}
		fmt.Printf("ok %s\n", check.name)
	}
}

func client(servers string, options ...kgo.Opt) (*kgo.Client, error) {
	all := append([]kgo.Opt{kgo.SeedBrokers(servers)}, options...)
	return kgo.NewClient(all...)
}

func create(ctx context.Context, servers string, partitions int32, topics ...string) error {
	cl, err := client(servers)
	if err != nil {
		return err
	}
	defer cl.Close()
	created, err := kadm.NewClient(cl).CreateTopics(ctx, partitions, 1, nil, topics...)
	if err != nil {
		return err
	}
	return created.Error()
}

// Writes one record per value outside of any transaction, with partitions in turn.
func write(ctx context.Context, servers, topic string, partitions int, values []string) error {
	cl, err := client(servers, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	var records []*kgo.Record
	for i, value := range values {
		record := kgo.StringRecord(value)
		record.Topic, record.Partition = topic, int32(i%partitions)
		records = append(records, record)
	}
	return cl.ProduceSync(ctx, records...).FirstErr()
}

// Reads a topic up to its end, when no transaction in it is open; sorted values come back.
func read(
	ctx context.Context, servers, topic string, isolation kgo.IsolationLevel,
) ([]string, error) {
	cl, err := client(servers, kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(isolation),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.KeepControlRecords())
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ends, err := settledEnds(ctx, kadm.NewClient(cl), topic)
	if err != nil {
		return nil, err
	}
	var values []string
	// Control records are kept, so that a partition that ends with one is seen to its end.
	seen := map[int32]int64{}
	for !atEnd(ends, seen) {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read to %v of %v: %w", seen, ends, err)
		}
		fetches.EachRecord(func(record *kgo.Record) {
			seen[record.Partition] = record.Offset + 1
			if !record.Attrs.IsControl() {
				values = append(values, string(record.Value))
			}
		})
	}
	slices.Sort(values)
	return values, nil
}

// The ends of a topic whose transactions have their markers: these follow the answer to a commit.
func settledEnds(ctx context.Context, admin *kadm.Client, topic string) (kadm.ListedOffsets, error) {
	for {
		ends, err := admin.ListEndOffsets(ctx, topic)
		if err == nil {
			err = ends.Error()
		}
		if err != nil {
			return nil, err
		}
		stable, err := admin.ListCommittedOffsets(ctx, topic)
		if err == nil {
			err = stable.Error()
		}
		if err != nil {
			return nil, err
		}
		settled := true
		ends.Each(func(end kadm.ListedOffset) {
			at, _ := stable.Lookup(topic, end.Partition)
			settled = settled && at.Offset == end.Offset
		})
		if settled {
			return ends, nil
		}
	}
}

func atEnd(ends kadm.ListedOffsets, seen map[int32]int64) bool {
	reached := true
	ends.Each(func(end kadm.ListedOffset) {
		reached = reached && seen[end.Partition] >= end.Offset
	})
	return reached
}

func numbered(prefix string, count int) []string {
	var values []string
	for i := range count {
		values = append(values, fmt.Sprintf("%s-%03d", prefix, i))
	}
	return values
}

func same(what string, expected, found []string) error {
	if !slices.Equal(expected, found) {
		return fmt.Errorf("%s: expected %v, found %v", what, expected, found)
	}
	return nil
}

func produceAndConsume(ctx context.Context, servers string) error {
	const topic = "go-plain"
	if err := create(ctx, servers, 1, topic); err != nil {
		return err
	}
	codecs := map[string]kgo.CompressionCodec{
		"gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(), "none": kgo.NoCompression(),
	}
	var written []string
	for name, codec := range codecs {
		cl, err := client(servers, kgo.ProducerBatchCompression(codec), kgo.DefaultProduceTopic(topic))
		if err != nil {
			return err
		}
		for _, value := range numbered(name+strings.Repeat("-pad", 20), 100) {
			written = append(written, value)
			cl.Produce(ctx, kgo.StringRecord(value), nil)
		}
		err = cl.Flush(ctx)
		cl.Close()
		if err != nil {
			return err
		}
	}
	slices.Sort(written)
	found, err := read(ctx, servers, topic, kgo.ReadUncommitted())
	if err != nil {
		return err
	}
	return same("all codecs", written, found)
}

func twoInAGroup(ctx context.Context, servers string) error {
	const topic, group = "go-group", "go-group"
	if err := create(ctx, servers, 4, topic); err != nil {
		return err
	}
	written := numbered("value", 80)
	if err := write(ctx, servers, topic, 4, written); err != nil {
		return err
	}
	// What each member read, in batches: both must get some.
	type batch struct {
		member int
		values []string
		err    error
	}
	batches := make(chan batch)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for member := range 2 {
		cl, err := client(servers, kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit(),
			kgo.HeartbeatInterval(200*time.Millisecond), kgo.BlockRebalanceOnPoll())
		if err != nil {
			return err
		}
		go func() {
			defer cl.CloseAllowingRebalance()
			for ctx.Err() == nil {
				// One record a poll: the first member has not read all before the second has joined.
				fetches := cl.PollRecords(ctx, 1)
				read := batch{member: member, err: fetches.Err()}
				fetches.EachRecord(func(record *kgo.Record) {
					read.values = append(read.values, string(record.Value))
				})
				if read.err == nil {
					// A commit before the rebalance is allowed: none is read twice.
					read.err = cl.CommitUncommittedOffsets(ctx)
				}
				cl.AllowRebalance()
				select {
				case batches <- read:
				case <-ctx.Done():
				}
			}
		}()
	}
	var found []string
	members := map[int]bool{}
	more := 0
	for len(found) < len(written) || len(members) < 2 {
		if len(found) == len(written) {
			// The second joined late: it gets its share of what comes now.
			more++
			next := numbered(fmt.Sprintf("value-more-%03d", more), 4)
			written = append(written, next...)
			if err := write(ctx, servers, topic, 4, next); err != nil {
				return err
			}
		}
		select {
		case read := <-batches:
			if read.err != nil {
				return fmt.Errorf("member %d: %w", read.member, read.err)
			}
			found = append(found, read.values...)
			if len(read.values) > 0 {
				members[read.member] = true
			}
		case <-ctx.Done():
			return fmt.Errorf("members %v read %d of %d", members, len(found), len(written))
		}
	}
	slices.Sort(written)
	slices.Sort(found)
	return same("each once", written, found)
}

func committedAndAborted(ctx context.Context, servers string) error {
	const topic = "go-outcomes"
	if err := create(ctx, servers, 2, topic); err != nil {
		return err
	}
	cl, err := client(servers, kgo.TransactionalID("go-outcomes"), kgo.DefaultProduceTopic(topic),
		kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	for _, transaction := range []string{"a", "b-aborted", "c", "d-aborted"} {
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		for _, value := range numbered(transaction, 4) {
			if err := cl.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
				return err
			}
		}
		commit := kgo.TransactionEndTry(!strings.HasSuffix(transaction, "aborted"))
		if err := cl.EndTransaction(ctx, commit); err != nil {
			return err
		}
	}
	found, err := read(ctx, servers, topic, kgo.ReadCommitted())
	if err != nil {
		return err
	}
	if err := same("committed", append(numbered("a", 4), numbered("c", 4)...), found); err != nil {
		return err
	}
	found, err = read(ctx, servers, topic, kgo.ReadUncommitted())
	if err != nil {
		return err
	}
	if len(found) != 16 {
		return fmt.Errorf("all: expected 16, found %v", found)
	}
	return nil
}

func consumeTransformProduce(ctx context.Context, servers string) error {
	const input, output = "go-input", "go-output"
	if err := create(ctx, servers, 2, input, output); err != nil {
		return err
	}
	written := numbered("value", 60)
	if err := write(ctx, servers, input, 2, written); err != nil {
		return err
	}
	session, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(servers),
		kgo.TransactionalID("go-loop"), kgo.ConsumerGroup("go-loop"), kgo.ConsumeTopics(input),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DefaultProduceTopic(output),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RequireStableFetchOffsets())
	if err != nil {
		return err
	}
	defer session.Close()
	for done, cycle := 0, 0; done < len(written); cycle++ {
		fetches := session.PollRecords(ctx, 7)
		if err := fetches.Err(); err != nil {
			return fmt.Errorf("after %d records: %w", done, err)
		}
		if err := session.Begin(); err != nil {
			return err
		}
		count := 0
		fetches.EachRecord(func(record *kgo.Record) {
			count++
			upper := strings.ToUpper(string(record.Value))
			session.Produce(ctx, kgo.StringRecord(upper), nil)
		})
		if err := session.Client().Flush(ctx); err != nil {
			return err
		}
		committed, err := session.End(ctx, kgo.TransactionEndTry(cycle%3 != 1))
		if err != nil {
			return err
		}
		if committed {
			done += count
		}
	}
	var upper []string
	for _, value := range written {
		upper = append(upper, strings.ToUpper(value))
	}
	found, err := read(ctx, servers, output, kgo.ReadCommitted())
	if err != nil {
		return err
	}
	return same("output", upper, found)
}

func fencedByTheSameID(ctx context.Context, servers string) error {
	const topic, id = "go-fenced", "go-fenced"
	if err := create(ctx, servers, 1, topic); err != nil {
		return err
	}
	var clients [2]*kgo.Client
	for i, value := range []string{"of the old", "of the young"} {
		cl, err := client(servers, kgo.TransactionalID(id), kgo.DefaultProduceTopic(topic))
		if err != nil {
			return err
		}
		defer cl.Close()
		clients[i] = cl
		if err := cl.BeginTransaction(); err != nil {
			return err
		}
		if err := cl.ProduceSync(ctx, kgo.StringRecord(value)).FirstErr(); err != nil {
			return err
		}
	}
	err := clients[0].EndTransaction(ctx, kgo.TryCommit)
	if !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
		return fmt.Errorf("the old one's commit: expected a fence, got %v", err)
	}
	if err := clients[1].EndTransaction(ctx, kgo.TryCommit); err != nil {
		return err
	}
	found, err := read(ctx, servers, topic, kgo.ReadCommitted())
	if err != nil {
		return err
	}
	return same("committed", []string{"of the young"}, found)
}
