// Publishes to the stream `orders` with franz-go: go run . HOST:PORT [TOPIC]
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// byGroup is `group: key-prefix` in streams.yaml: murmur2 of the key up to its first slash.
// With `none` or `key` kgo's own default is right as it is.
type byGroup struct{ whole kgo.TopicPartitioner }

func (p byGroup) ForTopic(topic string) kgo.TopicPartitioner {
	return byGroup{kgo.StickyKeyPartitioner(nil).ForTopic(topic)}
}

func (p byGroup) RequiresConsistency(*kgo.Record) bool { return true }

func (p byGroup) Partition(record *kgo.Record, partitions int) int {
	group, _, _ := bytes.Cut(record.Key, []byte("/"))
	return p.whole.Partition(&kgo.Record{Key: group}, partitions)
}

func headers() []kgo.RecordHeader {
	return []kgo.RecordHeader{
		{Key: "ce_specversion", Value: []byte("1.0")},
		{Key: "ce_id", Value: []byte(rand.Text())},
		{Key: "ce_source", Value: []byte("shop/franz-go")},
		{Key: "ce_type", Value: []byte("shop.order.changed")},
		{Key: "ce_time", Value: []byte(time.Now().UTC().Format(time.RFC3339Nano))},
		{Key: "content-type", Value: []byte("application/json")},
	}
}

func main() {
	topic := "shop-orders"
	if len(os.Args) > 2 {
		topic = os.Args[2]
	}
	context, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(os.Args[1]), kgo.RecordPartitioner(byGroup{}))
	if err != nil {
		panic(err)
	}
	defer client.Close()
	for _, event := range []struct {
		key  string
		json []byte
	}{
		{"berlin/franz-1", []byte(`{"total":42,"state":"paid"}`)},
		{"paris/franz-2", []byte(`{"total":7,"state":"open"}`)},
		{"paris/franz-2", nil}, // a tombstone: the entity is gone
	} {
		record := &kgo.Record{Topic: topic, Key: []byte(event.key), Value: event.json, Headers: headers()}
		written, err := client.ProduceSync(context, record).First()
		if err != nil {
			panic(err)
		}
		fmt.Printf("%s partition %d offset %d\n", event.key, written.Partition, written.Offset)
	}
}
