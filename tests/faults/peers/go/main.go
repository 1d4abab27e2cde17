// Command peer loads NDJSON with the BulkIndexer of opensearch-go, with all retries of its client on, and prints one line
// of JSON: what it read, and what it says it has indexed and failed.
//
//	peer [-workers N] [-bytes N] URL INDEX FILE
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"time"

	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
	"github.com/opensearch-project/opensearch-go/v4/opensearchutil"
)

type counts struct {
	Read    int    `json:"read"`
	Indexed uint64 `json:"indexed"`
	Failed  uint64 `json:"failed"`
}

func load(url, index, path string, workers, size int) (*counts, error) {
	client, err := opensearchapi.NewClient(opensearchapi.Config{Client: opensearch.Config{
		Addresses: []string{url}, MaxRetries: 10, RetryOnStatus: []int{429, 502, 503, 504}, EnableRetryOnTimeout: true,
		RetryBackoff: func(attempt int) time.Duration { return time.Duration(attempt) * 50 * time.Millisecond }}})
	if err != nil {
		return nil, err
	}
	bulk, err := opensearchutil.NewBulkIndexer(opensearchutil.BulkIndexerConfig{
		Client: client, Index: index, NumWorkers: workers, FlushBytes: size, FlushInterval: 30 * time.Second})
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var said counts
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var document map[string]json.RawMessage
		if err := json.Unmarshal(lines.Bytes(), &document); err != nil {
			return nil, err
		}
		item := opensearchutil.BulkIndexerItem{Action: "index"}
		if id, has := document["_id"]; has {
			if err := json.Unmarshal(id, &item.DocumentID); err != nil {
				return nil, err
			}
			delete(document, "_id")
		}
		body, err := json.Marshal(document)
		if err != nil {
			return nil, err
		}
		item.Body = bytes.NewReader(body)
		if err := bulk.Add(context.Background(), item); err != nil {
			return nil, err
		}
		said.Read++
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if err := bulk.Close(context.Background()); err != nil {
		return nil, err
	}
	said.Indexed, said.Failed = bulk.Stats().NumFlushed, bulk.Stats().NumFailed
	return &said, nil
}

func main() {
	workers := flag.Int("workers", 4, "requests in flight")
	size := flag.Int("bytes", 50000, "bytes of a request")
	flag.Parse()
	if flag.NArg() != 3 {
		flag.Usage()
		os.Exit(2)
	}
	said, err := load(flag.Arg(0), flag.Arg(1), flag.Arg(2), *workers, *size)
	if err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
	json.NewEncoder(os.Stdout).Encode(said)
}
