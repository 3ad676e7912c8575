namespace Mirror.Configuration;

/// <summary>A listener of the server. Two of them may have the same port, at different addresses.</summary>
public sealed class Listener
{
    public static readonly Listener Registry = new();

    /// <summary><c>http.debug.addr</c>.</summary>
    public static readonly Listener Debug = new();

    /// <summary><c>http.tls.letsencrypt.http01</c>.</summary>
    public static readonly Listener Http01 = new();

    private Listener()
    {
    }

    /// <summary>Whether the request's connection came to this listener.</summary>
    public bool Accepted(HttpContext context) => context.Features.Get<Listener>() == this;
}
