using Mirror.Access;
using Mirror.Admin;
using Mirror.Configuration;
using Mirror.Registry;
using Mirror.Storage;

namespace Mirror.Web;

/// <summary>Finds out who looks at a page, logs browsers in and out, and refuses what other sites make a browser send.</summary>
internal sealed class PageAccess(
    IAccess access, AdminAccess admins, AdminToken token, Sessions sessions, Locations locations, LiveOptions live, HttpOptions http,
    PrivateReads privates, ProxyOptions proxy, TimeProvider time, AccessByRules? rules = null, TokenLogins? tokenServer = null)
{
    private const string Cookie = "mirror_session";

    private readonly bool _hasPrivate = proxy.AllUpstreams().Any(upstream => upstream.Options.Private is not PrivateImages.Account);
    private readonly string _path = $"{http.Prefix.TrimEnd('/')}/ui";

    /// <summary>Whether users can log in by name and password.</summary>
    public bool HasUsers => sessions.HasUsers || tokenServer is not null;

    /// <summary>Whether the token of the administrator logs in at the address of this request.</summary>
    public bool TakesToken(HttpContext context) => admins.IsTokensPlace(context);

    /// <summary>The client of a request. The request learns its user.</summary>
    /// <param name="isLogin">Whether it wants to log in or out, for which it need not be known.</param>
    public async ValueTask<Viewer> ViewerAsync(RegistryRequest request, bool isLogin)
    {
        var (context, stop) = (request.Http, request.Aborted);
        if (admins.IsTokensPlace(context) && token.IsIn(context.Request))
        {
            request.User = AdminAccess.TokenHolder.User;
            return new(access, request.User, AdminAccess.TokenHolder, false, "");
        }
        var cookie = context.Request.Cookies[Cookie];
        var session = await sessions.ReadAsync(cookie, stop);
        if (session is { IsTokenHolder: true } && admins.IsTokensPlace(context))
        {
            request.User = AdminAccess.TokenHolder.User;
            return new(access, request.User, AdminAccess.TokenHolder, true, await sessions.FormTokenAsync(cookie!, stop));
        }
        var rights = sessions.WithTokens(cookie) is var (tokens, key) ? new TokenRights(tokens, key, context, rules, time) : null;
        var isUser = session is { IsTokenHolder: false } || rights is not null;
        AccessUser? user = null;
        try
        {
            user = rights is null ? null : await rights.UserAsync(stop);
            if (rights is not null && user is null)
            {
                sessions.ForgetTokens(cookie);
                (rights, isUser) = (null, false);
            }
        }
        // The token server does not answer. A browser can log in otherwise, and log out.
        catch (Exception failure) when (isLogin && failure is RegistryException or TooManyLoginsException)
        {
            rights = null;
        }
        if (session is { IsTokenHolder: false })
            user = rules is null ? new AccessUser(session.Name) : rules.WithCertificate(new AccessUser(session.Name), context);
        else if (!isUser)
            user = await access.AuthenticateAsync(context, stop);
        if (user is null && context.Request.Headers.Authorization is [{ } authorization, ..])
            request.RefusedUser = access.RefusedUser(authorization);
        request.User = user;
        return new(
            access, user, await admins.FindAsync(user, stop), isUser,
            await sessions.FormTokenAsync(isUser ? cookie! : $"user {user?.Name}", stop),
            _hasPrivate ? name => privates.MaySeeAsync(request, name) : null, rights);
    }

    /// <summary>
    /// Refuses a client that may see nothing at all. Where rules let clients without a login pull something, each page shows them that.
    /// </summary>
    /// <exception cref="RegistryException">With a challenge for the browser where it can log in by itself.</exception>
    public async ValueTask RequireAsync(RegistryRequest request, Viewer viewer)
    {
        if (viewer.SeesAll || rules is not null && AccessRules.HasOpenRule(live.Current.Access)
            || await access.AuthorizeAsync(viewer.User, null, AccessAction.Pull, request.Aborted))
            return;
        throw RegistryException.Of(access.Refuse(
            new(request.Http, viewer.User, null, AccessAction.Pull, locations.PublicBase(request.Http.Request))));
    }

    /// <summary>Logs a browser in; false where name and password are wrong.</summary>
    /// <param name="name">Empty: the password is the token of the administrator.</param>
    /// <exception cref="TooManyLoginsException">Too many logins wait already.</exception>
    public async ValueTask<bool> LogInAsync(RegistryRequest request, string name, string password)
    {
        var context = request.Http;
        if (name.Length == 0)
        {
            if (!admins.IsTokensPlace(context) || !token.Is(password.Trim()))
                return false;
            request.User = AdminAccess.TokenHolder.User;
        }
        else if (tokenServer is not null)
        {
            // A colon ends the name in what is sent.
            var key = Sessions.NewKey();
            var session = new TokenSession(name, password, key, tokenServer, access, time);
            if (name.Contains(':', StringComparison.Ordinal)
                || (request.User = await new TokenRights(session, key, context, rules, time).UserAsync(request.Aborted)) is null)
            {
                request.RefusedUser = name;
                return false;
            }
            context.Response.Cookies.Append(Cookie, sessions.BeginWithTokens(key, session), Options(context, Sessions.Life));
            return true;
        }
        else
        {
            // A colon ends the name in what is checked.
            if (!sessions.HasUsers || name.Contains(':', StringComparison.Ordinal))
                return false;
            context.Request.Headers.Authorization = BasicHeader.Of(name, password).ToString();
            request.User = await access.AuthenticateAsync(context, request.Aborted);
            // The session is that of a user of the password file. The names oidc and privileged stand for other logins.
            if (request.User is not { IsKnownByName: true } user
                || user is PrivilegedUser or CertificateUser { Login: null or PrivilegedUser } || user.Name != name)
            {
                request.User = null;
                request.RefusedUser = name;
                return false;
            }
        }
        context.Response.Cookies.Append(
            Cookie, await sessions.BeginAsync(new Session(name), request.Aborted), Options(context, Sessions.Life));
        return true;
    }

    /// <summary>Takes the session's cookie away.</summary>
    public void LogOut(HttpContext context)
    {
        sessions.ForgetTokens(context.Request.Cookies[Cookie]);
        context.Response.Cookies.Append(Cookie, "", Options(context, TimeSpan.Zero));
    }

    /// <summary>Refuses a form that another site has sent.</summary>
    /// <exception cref="RegistryException">The browser says so, or the form lacks the token.</exception>
    public void RequireOwnForm(HttpContext context, IFormCollection form, Viewer viewer)
    {
        RequireOwnSite(context);
        // Who sends the token of the administrator in a header is no browser.
        if (viewer.FormToken.Length > 0 && !Sessions.IsToken(form["token"], viewer.FormToken))
            throw new RegistryException(
                RegistryError.Denied, "the form is not one of this login: go back, load the page again, and send the form from there");
    }

    /// <summary>Refuses a request that a browser sends for a page of another site.</summary>
    /// <exception cref="RegistryException">It is one.</exception>
    public void RequireOwnSite(HttpContext context)
    {
        if (OtherSites.IsFromOne(context.Request, http))
            throw new RegistryException(RegistryError.Denied, "a page of another site has sent this form; nothing was done");
    }

    private CookieOptions Options(HttpContext context, TimeSpan life) => new()
    {
        Path = _path,
        HttpOnly = true,
        SameSite = SameSiteMode.Strict,
        Secure = context.Request.IsHttps
            || locations.PublicBase(context.Request).StartsWith("https://", StringComparison.OrdinalIgnoreCase),
        MaxAge = life,
        IsEssential = true,
    };
}
