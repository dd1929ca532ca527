package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/gofiber/fiber/v2"
)

const (
	immutable  = "public, max-age=31536000, immutable"
	revalidate = "no-cache"
	// contentPolicy: nothing from elsewhere, no frames around.
	contentPolicy = "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
	// worthCompressing is the size below which the headers of compression cost more.
	worthCompressing = 512
	assetsPrefix     = "assets/"
	indexFile        = "index.html"
)

// asset is one file of the dashboard with its encodings, made once.
type asset struct {
	kind, etag, cache string
	plain, gzip, br   []byte
}

// assets are the dashboard's files by their path.
type assets map[string]*asset

// loadAssets reads the built dashboard. Without an index file there is none.
func loadAssets(dist fs.FS) (assets, error) {
	all := assets{}
	err := fs.WalkDir(dist, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := fs.ReadFile(dist, name)
		if err != nil {
			return err
		}
		a, err := newAsset(name, content)
		all[name] = a
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the dashboard's files: %w", err)
	}
	return all, nil
}

func newAsset(name string, content []byte) (*asset, error) {
	sum := sha256.Sum256(content)
	a := &asset{kind: kindOf(name), etag: `"` + hex.EncodeToString(sum[:12]) + `"`, cache: revalidate, plain: content}
	if strings.HasPrefix(name, assetsPrefix) { // the build puts a hash into these names
		a.cache = immutable
	}
	if len(content) < worthCompressing || !compressible(a.kind) {
		return a, nil
	}
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	if _, err = w.Write(content); err == nil {
		err = w.Close()
	}
	a.gzip = smaller(b.Bytes(), content)
	if err != nil {
		return nil, err
	}
	a.br, err = brotliOf(content)
	return a, err
}

// brotliLevel gains a fifth over gzip; the highest one takes seconds for two percent more.
const brotliLevel = 9

func brotliOf(content []byte) ([]byte, error) {
	var b bytes.Buffer
	w := brotli.NewWriterLevel(&b, brotliLevel)
	if _, err := w.Write(content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return smaller(b.Bytes(), content), nil
}

// smaller is the compressed form, nil where it is none.
func smaller(compressed, plain []byte) []byte {
	if len(compressed) == 0 || len(compressed) >= len(plain) {
		return nil
	}
	return compressed
}

func kindOf(name string) string {
	if ext := path.Ext(name); ext != "" {
		if kind := mime.TypeByExtension(ext); kind != "" {
			return kind
		}
	}
	return fiber.MIMEOctetStream
}

func compressible(kind string) bool {
	for _, part := range []string{"text/", "javascript", "json", "svg", "xml", "wasm"} {
		if strings.Contains(kind, part) {
			return true
		}
	}
	return false
}

func (a *asset) send(c *fiber.Ctx) error {
	c.Set(fiber.HeaderETag, a.etag)
	c.Set(fiber.HeaderCacheControl, a.cache)
	c.Set(fiber.HeaderContentType, a.kind)
	c.Vary(fiber.HeaderAcceptEncoding)
	if matchesETag(c.Get(fiber.HeaderIfNoneMatch), a.etag) {
		return c.SendStatus(http.StatusNotModified)
	}
	body := a.plain
	switch accepted := acceptedEncodings(c.Get(fiber.HeaderAcceptEncoding)); {
	case a.br != nil && accepted["br"]:
		c.Set(fiber.HeaderContentEncoding, "br")
		body = a.br
	case a.gzip != nil && accepted["gzip"]:
		c.Set(fiber.HeaderContentEncoding, "gzip")
		body = a.gzip
	}
	return c.Send(body)
}

func matchesETag(header, etag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimPrefix(strings.TrimSpace(one), "W/"); one == etag || one == "*" {
			return true
		}
	}
	return false
}

// acceptedEncodings are those a client takes; q=0 refuses one.
func acceptedEncodings(header string) map[string]bool {
	all := map[string]bool{}
	for one := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.ReplaceAll(one, " ", ""), ";")
		all[strings.ToLower(name)] = strings.Trim(strings.TrimPrefix(strings.ToLower(weight), "q="), "0.") != "" || weight == ""
	}
	return all
}

const notBuilt = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Batuta</title></head>
<body><h1>Batuta</h1>
<p>The API runs. This binary holds no dashboard: build it with <code>make build</code>.</p>
<p><a href="/docs">API documentation</a> · <a href="/stats">figures</a></p></body></html>
`

// dashboard serves the index page: at / and for every page of the dashboard's own.
func (s *Server) dashboard(c *fiber.Ctx) error {
	secureHeaders(c)
	if index := s.assets[indexFile]; index != nil {
		return index.send(c)
	}
	c.Set(fiber.HeaderContentType, fiber.MIMETextHTMLCharsetUTF8)
	c.Set(fiber.HeaderCacheControl, "no-store")
	return c.SendString(notBuilt)
}

// dashboardFile serves what lies under /ui/: a file, or the index page for a page.
func (s *Server) dashboardFile(c *fiber.Ctx) error {
	name := strings.TrimPrefix(c.Params("*"), "/")
	if a := s.assets[name]; a != nil {
		secureHeaders(c)
		return a.send(c)
	}
	if strings.HasPrefix(name, assetsPrefix) { // an index page in place of a script would only confuse
		return notFound("file", name)
	}
	return s.dashboard(c)
}

func secureHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderContentSecurityPolicy, contentPolicy)
}
