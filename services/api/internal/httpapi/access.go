// Package httpapi speaks HTTP: it checks requests, turns them into messages, and shows what
// the read model knows.
package httpapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/batuta-tasks/batuta/shared/settings"
	"github.com/batuta-tasks/batuta/shared/wire"
)

const (
	// sessionCookie carries the token after sign-in on the dashboard.
	sessionCookie   = "batuta_session"
	sessionLifetime = 7 * 24 * time.Hour

	identityKey = "identity"
	realm       = `Bearer realm="batuta"`
)

// Access says who may reach the API.
type Access struct {
	// Addr is where the API listens.
	Addr string
	// Tokens is nil where there is no tokens file.
	Tokens *Tokens
	// Origins are the web origins besides the API's own that may change state.
	Origins []string
	// Insecure allows an address beyond loopback without tokens.
	Insecure bool
}

// Validate refuses an address that everybody could reach.
func (a *Access) Validate() error {
	if a.Tokens != nil || a.Insecure || settings.Loopback(a.Addr) {
		return nil
	}
	return fmt.Errorf("BATUTA_HTTP_ADDR: %q is not allowed (rule: without BATUTA_TOKENS_FILE the API listens on loopback only, unless BATUTA_INSECURE=1)", a.Addr)
}

// hostOf is the host name in a Host header, without its port.
func hostOf(header string) string {
	if host, _, err := net.SplitHostPort(header); err == nil {
		return host
	}
	return strings.Trim(header, "[]")
}

// checkHost refuses names that are not this API's: without tokens, a web page whose name was
// made to point to loopback could otherwise speak with it (DNS rebinding).
func (a *Access) checkHost(c *fiber.Ctx) error {
	if a.Tokens != nil || !settings.Loopback(a.Addr) {
		return nil
	}
	header := string(c.Request().Host())
	if settings.LoopbackHost(hostOf(header)) || slices.ContainsFunc(a.Origins, func(o string) bool { return originHost(o) == strings.ToLower(header) }) {
		return nil
	}
	return problem(http.StatusForbidden, "the host %s is not served here: without a tokens file only loopback names and those in BATUTA_ORIGINS are", clip(header))
}

func originHost(origin string) string {
	u, err := url.Parse(origin)
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Host)
}

// listed tells whether an origin stands in BATUTA_ORIGINS.
func (a *Access) listed(origin string) bool {
	return slices.ContainsFunc(a.Origins, func(o string) bool { return strings.EqualFold(strings.TrimSuffix(o, "/"), origin) })
}

// checkOrigin refuses state-changing requests and WebSockets that another site's page makes.
func (a *Access) checkOrigin(c *fiber.Ctx) error {
	if safeMethod(c.Method()) && !isUpgrade(c) {
		return nil
	}
	origin := c.Get(fiber.HeaderOrigin)
	switch {
	case origin == "" && c.Get("Sec-Fetch-Site") == "cross-site":
	case origin == "", a.listed(origin):
		return nil
	case originHost(origin) != "" && originHost(origin) == strings.ToLower(string(c.Request().Host())):
		return nil
	}
	return problem(http.StatusForbidden, "the origin %s may not do this: it is not listed in BATUTA_ORIGINS", clip(origin))
}

func safeMethod(m string) bool {
	return m == http.MethodGet || m == http.MethodHead || m == http.MethodOptions
}

func isUpgrade(c *fiber.Ctx) bool {
	return strings.EqualFold(c.Get(fiber.HeaderUpgrade), "websocket")
}

// allowOrigin lets the pages of listed origins read answers.
func (a *Access) allowOrigin(c *fiber.Ctx) {
	if len(a.Origins) == 0 {
		return
	}
	c.Vary(fiber.HeaderOrigin)
	if origin := c.Get(fiber.HeaderOrigin); origin != "" && a.listed(origin) {
		c.Set(fiber.HeaderAccessControlAllowOrigin, strings.Clone(origin))
		c.Set(fiber.HeaderAccessControlExposeHeaders, "Location, Retry-After, WWW-Authenticate")
	}
}

// preflight answers what a browser asks before a request to another origin.
func (a *Access) preflight(c *fiber.Ctx, allow string) bool {
	if c.Get(fiber.HeaderAccessControlRequestMethod) == "" || !a.listed(c.Get(fiber.HeaderOrigin)) {
		return false
	}
	c.Set(fiber.HeaderAccessControlAllowMethods, allow)
	c.Set(fiber.HeaderAccessControlAllowHeaders, "Authorization, Content-Type")
	c.Set(fiber.HeaderAccessControlMaxAge, "600")
	return true
}

// identify finds who sends a request: by header, else by cookie.
func (a *Access) identify(c *fiber.Ctx) (Identity, error) {
	if a.Tokens == nil {
		return anonymous, nil
	}
	token, err := tokenOf(c)
	if err != nil {
		return Identity{}, a.unauthorized(c, err.Error())
	}
	who, ok := a.Tokens.Who(token)
	if !ok {
		return Identity{}, a.unauthorized(c, "the token is not known")
	}
	return who, nil
}

func tokenOf(c *fiber.Ctx) (string, error) {
	if h := c.Get(fiber.HeaderAuthorization); h != "" {
		scheme, token, ok := strings.Cut(h, " ")
		if !ok || !strings.EqualFold(scheme, "Bearer") || strings.TrimSpace(token) == "" {
			return "", errors.New("the header must be Authorization: Bearer <token>")
		}
		return strings.TrimSpace(token), nil
	}
	if v := c.Cookies(sessionCookie); v != "" {
		if token, err := base64.RawURLEncoding.DecodeString(v); err == nil {
			return string(token), nil
		}
	}
	return "", errors.New("a token is needed: Authorization: Bearer <token>, or the dashboard's sign-in")
}

func (a *Access) unauthorized(c *fiber.Ctx, detail string) error {
	challenge := realm
	if c.Get(fiber.HeaderAuthorization) != "" {
		challenge += `, error="invalid_token"`
	}
	c.Set(fiber.HeaderWWWAuthenticate, challenge)
	return problem(http.StatusUnauthorized, "%s", detail)
}

// allow is the handler that stands before those of a role; open ones need none.
func (a *Access) allow(needed Role) fiber.Handler {
	return func(c *fiber.Ctx) error {
		who, err := a.identify(c)
		if err != nil {
			return err
		}
		if who.Role < needed {
			return problem(http.StatusForbidden, "the role %s is needed; the token of %s has the role %s", needed, who.Name, who.Role)
		}
		c.Locals(identityKey, who)
		return c.Next()
	}
}

// whoIs is who sends a request that has passed allow.
func whoIs(c *fiber.Ctx) Identity {
	who, ok := c.Locals(identityKey).(Identity)
	if !ok {
		return Identity{Name: "unknown"}
	}
	return who
}

// signIn keeps a token in a cookie that scripts cannot read, so that the dashboard's
// WebSocket has it too.
func (s *Server) signIn(c *fiber.Ctx) error {
	fields, faults, err := s.readObject(c, "a session", "token")
	if err != nil {
		return err
	}
	token, faults := textField(fields, "token", faults)
	if len(faults) > 0 {
		return badInput(faults)
	}
	who := anonymous
	if t := s.access.Tokens; t != nil {
		known := false
		if who, known = t.Who(token); !known {
			c.Set(fiber.HeaderWWWAuthenticate, realm)
			return problem(http.StatusUnauthorized, "the token is not known")
		}
		c.Cookie(s.cookie(c, base64.RawURLEncoding.EncodeToString([]byte(token)), int(sessionLifetime.Seconds())))
	}
	return answer(c, http.StatusOK, wire.SessionAnswer{Name: who.Name, Role: who.Role.String()})
}

func (s *Server) cookie(c *fiber.Ctx, value string, maxAge int) *fiber.Cookie {
	return &fiber.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge, HTTPOnly: true, SameSite: fiber.CookieSameSiteStrictMode,
		// A proxy that ends TLS is seen by the origin the browser names.
		Secure: c.Protocol() == "https" || strings.HasPrefix(c.Get(fiber.HeaderOrigin), "https://"),
	}
}

func (s *Server) signOut(c *fiber.Ctx) error {
	gone := s.cookie(c, "", 0)
	gone.Expires = time.Unix(1, 0)
	c.Cookie(gone)
	return c.SendStatus(http.StatusNoContent)
}

func (s *Server) session(c *fiber.Ctx) error {
	who := whoIs(c)
	return answer(c, http.StatusOK, wire.SessionAnswer{Name: who.Name, Role: who.Role.String()})
}
