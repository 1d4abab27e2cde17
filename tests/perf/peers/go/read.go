package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// sink takes a document; it may keep the bytes.
type sink func(id string, document []byte) error

// open gives the file's content, decompressed, and the suffix that tells its format.
func open(path string) (io.ReadCloser, string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, "", err
	}
	plain := strings.TrimSuffix(strings.TrimSuffix(path, ".gz"), ".zst")
	var in io.ReadCloser = file
	switch filepath.Ext(path) {
	case ".gz":
		in, err = gzip.NewReader(bufio.NewReaderSize(file, 1<<20))
	case ".zst":
		var decoder *zstd.Decoder
		if decoder, err = zstd.NewReader(file); err == nil {
			in = decoder.IOReadCloser()
		}
	}
	return in, filepath.Ext(plain), err
}

// arena hands out copies cut from large blocks, which costs less than an allocation for each document.
type arena struct{ block []byte }

func (a *arena) keep(data []byte) []byte {
	if len(data) > cap(a.block)-len(a.block) {
		a.block = make([]byte, 0, max(1<<20, len(data)))
	}
	from := len(a.block)
	a.block = append(a.block, data...)
	return a.block[from:len(a.block):len(a.block)]
}

const idHead = `{"_id":"`

// takeID cuts the member _id out of a compact document. The files have it in front, where cutting is all there is to do;
// OpenSearch refuses it inside a document.
func takeID(document []byte) (string, []byte, error) {
	if !bytes.HasPrefix(document, []byte(idHead)) {
		return "", document, nil
	}
	end := bytes.IndexByte(document[len(idHead):], '"')
	if end < 0 || bytes.IndexByte(document[len(idHead):len(idHead)+end], '\\') >= 0 {
		return "", nil, fmt.Errorf("an id that this driver does not understand: %.60s", document)
	}
	id := string(document[len(idHead) : len(idHead)+end])
	rest := document[len(idHead)+end+1:]
	if rest[0] == ',' {
		rest = rest[1:]
	}
	rest = document[len(document)-len(rest)-1:]
	rest[0] = '{'
	return id, rest, nil
}

func readLines(in io.Reader, add sink) error {
	var arena arena
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 1<<20), 64<<20)
	for lines.Scan() {
		id, document, err := takeID(arena.keep(lines.Bytes()))
		if err == nil {
			err = add(id, document)
		}
		if err != nil {
			return err
		}
	}
	return lines.Err()
}

// pretty is a document as it stands in a file, made compact: a bulk request has one line for each.
func addCompact(arena *arena, buffer *bytes.Buffer, pretty json.RawMessage, key string, add sink) error {
	buffer.Reset()
	if err := json.Compact(buffer, pretty); err != nil {
		return err
	}
	id, document, err := takeID(arena.keep(buffer.Bytes()))
	if err != nil {
		return err
	}
	if key != "" {
		id = key
	}
	return add(id, document)
}

func begin(in io.Reader, with json.Delim) (*json.Decoder, error) {
	decoder := json.NewDecoder(bufio.NewReaderSize(in, 1<<20))
	token, err := decoder.Token()
	if err == nil && token != with {
		err = errors.New("the file does not begin with " + with.String())
	}
	return decoder, err
}

func readArray(in io.Reader, add sink) error {
	var arena arena
	var buffer bytes.Buffer
	var document json.RawMessage
	decoder, err := begin(in, '[')
	for err == nil && decoder.More() {
		if err = decoder.Decode(&document); err == nil {
			err = addCompact(&arena, &buffer, document, "", add)
		}
	}
	return err
}

func readObject(in io.Reader, add sink) error {
	var arena arena
	var buffer bytes.Buffer
	var document json.RawMessage
	decoder, err := begin(in, '{')
	for err == nil && decoder.More() {
		var key json.Token
		if key, err = decoder.Token(); err != nil {
			break
		}
		if err = decoder.Decode(&document); err == nil {
			err = addCompact(&arena, &buffer, document, key.(string), add)
		}
	}
	return err
}
