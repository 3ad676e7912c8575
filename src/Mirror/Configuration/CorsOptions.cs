namespace Mirror.Configuration;

/// <summary>Section <c>http.cors</c>: which pages of other hosts may read the registry's answers in a browser (the Fetch standard, 3.3).
/// The names of its keys are those of <c>cors</c> in docker-registry 0.x.</summary>
public sealed class CorsOptions
{
    /// <summary>The origins of the pages, such as <c>https://ui.example.org</c>. In one, <c>*</c> stands for any text without a slash;
    /// <c>*</c> alone is every page. Empty: no page of another host may read an answer.</summary>
    public string[] Origins { get; set; } = [];

    /// <summary>The methods that the pages may use.</summary>
    public string[] Methods { get; set; } = ["GET", "HEAD", "POST", "OPTIONS", "PUT"];

    /// <summary>The request headers that the pages may set.</summary>
    public string[] Headers { get; set; } = ["Accept", "Authorization", "Content-Type"];

    /// <summary>The response headers that the pages may read.</summary>
    [ConfigurationKeyName("expose_headers")]
    public string[] ExposeHeaders { get; set; } = ["Docker-Content-Digest", "Link", "Location", "Range", "WWW-Authenticate"];

    /// <summary>Whether the browser may send a login that it has kept for this registry.</summary>
    [ConfigurationKeyName("supports_credentials")]
    public bool SupportsCredentials { get; set; }

    /// <summary>How long a browser remembers the answer to its preflight request.</summary>
    [ConfigurationKeyName("max_age")]
    public TimeSpan MaxAge { get; set; } = TimeSpan.FromMinutes(10);

    /// <summary>Whether an origin of the list stands for the pages of every host.</summary>
    public bool NamesEveryHost => Array.Exists(Origins, origin => !HostOf(origin).Any(char.IsAsciiLetterOrDigit));

    private static string HostOf(string origin) => origin[(origin.LastIndexOf('/') + 1)..].Split(':')[0];
}
