package httpapi

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"sync"

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

// asset is one file of the dashboard with its encodings. Each is made once, when it is first
// asked for: all of them together would cost every start more than the rest of it.
type asset struct {
	kind, etag, cache string
	plain             []byte
	gzip, br          func() []byte // nil where that is not smaller
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
		all[name] = newAsset(name, content)
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the dashboard's files: %w", err)
	}
	return all, nil
}

func newAsset(name string, content []byte) *asset {
	sum := sha256.Sum256(content)
	a := &asset{kind: kindOf(name), etag: `"` + hex.EncodeToString(sum[:12]) + `"`, cache: revalidate, plain: content}
	if strings.HasPrefix(name, assetsPrefix) { // the build puts a hash into these names
		a.cache = immutable
	}
	coding := func(encoder func(io.Writer) (io.WriteCloser, error)) func() []byte {
		return sync.OnceValue(func() []byte {
			if len(content) < worthCompressing || !compressible(a.kind) {
				return nil
			}
			return compressed(content, encoder)
		})
	}
	a.gzip = coding(func(to io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(to, gzip.BestCompression) })
	a.br = coding(func(to io.Writer) (io.WriteCloser, error) { return brotli.NewWriterLevel(to, brotliLevel), nil })
	return a
}

// brotliLevel gains a fifth over gzip; the highest one takes seconds for two percent more.
const brotliLevel = 9

// compressed is content in another encoding, nil where that is none the smaller, or fails.
func compressed(content []byte, encoder func(io.Writer) (io.WriteCloser, error)) []byte {
	var b bytes.Buffer
	w, err := encoder(&b)
	if err != nil {
		return nil
	}
	if _, err = w.Write(content); err != nil {
		return nil
	}
	if err = w.Close(); err != nil || b.Len() >= len(content) {
		return nil
	}
	return b.Bytes()
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
	accepted := acceptedEncodings(c.Get(fiber.HeaderAcceptEncoding))
	for _, encoding := range []struct {
		name string
		body func() []byte
	}{{"br", a.br}, {"gzip", a.gzip}} {
		if !accepted[encoding.name] {
			continue
		}
		if body := encoding.body(); body != nil {
			c.Set(fiber.HeaderContentEncoding, encoding.name)
			return c.Send(body)
		}
	}
	return c.Send(a.plain)
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
