// Command peer loads one file with the bulk indexer of opensearch-go, or of go-elasticsearch (-elastic), as a user who
// knows both the client and the file would write it: documents are passed on as bytes wherever the format allows it,
// the parser runs beside the indexer's workers, and connections are kept.
//
//	peer [-elastic [-tuned]] [-workers N] [-bytes N] [-keys] URL INDEX FILE
//
// The format follows from the file's name: .csv, .json (an array, or an object of objects with -keys), else NDJSON;
// each also with .gz or .zst. It ends with status 1 when a document was not taken.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	elastic := flag.Bool("elastic", false, "use go-elasticsearch")
	tuned := flag.Bool("tuned", false, "with go-elasticsearch: short answers and a longer queue")
	workers := flag.Int("workers", 4, "requests in flight")
	size := flag.Int("bytes", 5<<20, "bytes of a request")
	keys := flag.Bool("keys", false, "a .json file is an object whose members are the documents")
	flag.Parse()
	if flag.NArg() != 3 {
		flag.Usage()
		os.Exit(2)
	}
	if err := load(settings{*elastic, *tuned, *keys, *workers, *size}, flag.Arg(0), flag.Arg(1), flag.Arg(2)); err != nil {
		fmt.Fprintln(os.Stderr, "peer:", err)
		os.Exit(1)
	}
}

type settings struct {
	elastic, tuned, keys bool
	workers, size        int
}

func load(with settings, url, index, path string) error {
	newIndexer := newOpenSearch
	if with.elastic {
		newIndexer = newElastic
	}
	in, format, err := open(path)
	if err != nil {
		return err
	}
	defer in.Close()
	to, err := newIndexer(url, index, with.workers, with.size, with.tuned)
	if err != nil {
		return err
	}
	switch {
	case format == ".csv":
		err = readCSV(in, to.add)
	case format == ".json" && with.keys:
		err = readObject(in, to.add)
	case format == ".json":
		err = readArray(in, to.add)
	default:
		err = readLines(in, to.add)
	}
	// what was read is sent, also when the file is broken further on
	if closed := to.close(); err == nil {
		err = closed
	}
	return err
}
