package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// product is a row of products.csv with the types its columns have.
type product struct {
	ID          int64    `json:"id"`
	SKU         string   `json:"sku"`
	Name        string   `json:"name"`
	Description string   `json:"description"`
	Brand       string   `json:"brand"`
	Category    category `json:"category"`
	Price       float64  `json:"price"`
	PriceOld    *float64 `json:"price_old"`
	Currency    string   `json:"currency"`
	InStock     bool     `json:"in_stock"`
	Stock       stock    `json:"stock"`
	WeightKg    float64  `json:"weight_kg"`
	Dims        dims     `json:"dims"`
	Rating      float64  `json:"rating"`
	Reviews     int64    `json:"reviews"`
	Created     string   `json:"created"`
	URL         string   `json:"url"`
}

type category struct {
	Main string `json:"main"`
	Sub  string `json:"sub"`
}

type stock struct {
	Qty int64 `json:"qty"`
}

type dims struct {
	W int64 `json:"w"`
	H int64 `json:"h"`
	D int64 `json:"d"`
}

var columns = strings.Fields(`id sku name description brand category.main category.sub price price_old currency in_stock
	stock.qty weight_kg dims.w dims.h dims.d rating reviews created url`)

// cells converts the cells of a row and remembers the first that is not what its column should hold.
type cells struct {
	row []string
	err error
}

func (c *cells) whole(column int) int64 {
	value, err := strconv.ParseInt(c.row[column], 10, 64)
	c.fault(err)
	return value
}

func (c *cells) number(column int) float64 {
	value, err := strconv.ParseFloat(c.row[column], 64)
	c.fault(err)
	return value
}

func (c *cells) truth(column int) bool {
	value, err := strconv.ParseBool(c.row[column])
	c.fault(err)
	return value
}

func (c *cells) fault(err error) {
	if c.err == nil {
		c.err = err
	}
}

func productOf(row []string) (product, error) {
	c := cells{row: row}
	p := product{
		ID: c.whole(0), SKU: row[1], Name: row[2], Description: row[3], Brand: row[4],
		Category: category{row[5], row[6]}, Price: c.number(7), Currency: row[9], InStock: c.truth(10),
		Stock: stock{c.whole(11)}, WeightKg: c.number(12), Dims: dims{c.whole(13), c.whole(14), c.whole(15)},
		Rating: c.number(16), Reviews: c.whole(17), Created: row[18], URL: row[19]}
	if row[8] != "" {
		old := c.number(8)
		p.PriceOld = &old
	}
	return p, c.err
}

func readCSV(in io.Reader, add sink) error {
	rows := csv.NewReader(bufio.NewReaderSize(in, 1<<20))
	rows.ReuseRecord = true
	header, err := rows.Read()
	if err != nil {
		return err
	}
	if !slices.Equal(header, columns) {
		return fmt.Errorf("the columns are %q", header)
	}
	for {
		row, err := rows.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		product, err := productOf(row)
		if err != nil {
			return err
		}
		document, err := json.Marshal(product)
		if err != nil {
			return err
		}
		if err := add("", document); err != nil {
			return err
		}
	}
}
