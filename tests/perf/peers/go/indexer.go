package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esutil"
	"github.com/opensearch-project/opensearch-go/v4"
	"github.com/opensearch-project/opensearch-go/v4/opensearchapi"
	"github.com/opensearch-project/opensearch-go/v4/opensearchutil"
)

const interval = 30 * time.Second // between flushes of what is not full: longer than a batch takes to fill

// indexer hides which of the two libraries sends the documents. add keeps the document, and may be called with id "".
type indexer struct {
	add   func(id string, document []byte) error
	close func() error
}

// faults counts requests that failed as a whole; the libraries report them and go on.
type faults struct{ count atomic.Int64 }

func (f *faults) report(_ context.Context, err error) {
	if f.count.Add(1) == 1 {
		fmt.Println("first fault:", err)
	}
}

func (f *faults) verdict(flushed, failed uint64) error {
	fmt.Printf("%d documents taken, %d not, %d faults\n", flushed, failed, f.count.Load())
	if failed > 0 || f.count.Load() > 0 {
		return fmt.Errorf("%d documents were not taken", failed)
	}
	return nil
}

// connections lets each worker keep one: Go's own default is two for each server.
func connections(workers int) *http.Transport {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = workers
	return transport
}

func newOpenSearch(url, index string, workers, size int, _ bool) (*indexer, error) {
	var faults faults
	ctx := context.Background()
	client, err := opensearchapi.NewClient(opensearchapi.Config{Client: opensearch.Config{
		Addresses: []string{url}, Transport: connections(workers)}})
	if err != nil {
		return nil, err
	}
	bulk, err := opensearchutil.NewBulkIndexer(opensearchutil.BulkIndexerConfig{
		Client: client, Index: index, NumWorkers: workers, FlushBytes: size, FlushInterval: interval, OnError: faults.report})
	if err != nil {
		return nil, err
	}
	add := func(id string, document []byte) error {
		return bulk.Add(ctx, opensearchutil.BulkIndexerItem{Action: "index", DocumentID: id, Body: bytes.NewReader(document)})
	}
	return &indexer{add, func() error {
		if err := bulk.Close(ctx); err != nil {
			return err
		}
		return faults.verdict(bulk.Stats().NumFlushed, bulk.Stats().NumFailed)
	}}, nil
}

// asElastic adds the header without which go-elasticsearch refuses a server's answers (OpenSearch does not send it).
type asElastic struct{ http.RoundTripper }

func (via asElastic) RoundTrip(request *http.Request) (*http.Response, error) {
	answer, err := via.RoundTripper.RoundTrip(request)
	if err == nil {
		answer.Header.Set("X-Elastic-Product", "Elasticsearch")
	}
	return answer, err
}

func newElastic(url, index string, workers, size int, tuned bool) (*indexer, error) {
	var faults faults
	ctx := context.Background()
	client, err := elasticsearch.NewClient(elasticsearch.Config{
		Addresses: []string{url}, Transport: asElastic{connections(workers)}})
	if err != nil {
		return nil, err
	}
	config := esutil.BulkIndexerConfig{
		Client: client, Index: index, NumWorkers: workers, FlushBytes: size, FlushInterval: interval, OnError: faults.report}
	if tuned { // two settings that the guide does not mention and opensearch-go does not have
		config.FilterPath = []string{"took", "errors", "items.*.status", "items.*.error"}
		config.QueueSizeMultiplier = 64
	}
	bulk, err := esutil.NewBulkIndexer(config)
	if err != nil {
		return nil, err
	}
	add := func(id string, document []byte) error {
		return bulk.Add(ctx, esutil.BulkIndexerItem{Action: "index", DocumentID: id, Body: bytes.NewReader(document)})
	}
	return &indexer{add, func() error {
		if err := bulk.Close(ctx); err != nil {
			return err
		}
		return faults.verdict(bulk.Stats().NumFlushed, bulk.Stats().NumFailed)
	}}, nil
}
