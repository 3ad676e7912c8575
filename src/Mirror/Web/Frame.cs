namespace Mirror.Web;

/// <summary>What every page has around it.</summary>
/// <param name="Base">The path of the pages, without a slash at its end.</param>
/// <param name="Here">The page's own name: empty for the overview.</param>
/// <param name="CanLogIn">Whether there is a login by the form at this address.</param>
public sealed record Frame(string Base, string Here, Viewer Viewer, bool CanLogIn)
{
    /// <summary>The address of another page, with its parameters.</summary>
    public string To(string page, params (string Name, string? Value)[] query) =>
        $"{Base}/{page}{QueryString.Create(query.Where(q => q.Value is not null).Select(q => KeyValuePair.Create(q.Name, q.Value)))}";
}
