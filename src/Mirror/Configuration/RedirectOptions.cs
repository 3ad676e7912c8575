namespace Mirror.Configuration;

/// <summary>Section <c>storage.redirect</c>.</summary>
public sealed class RedirectOptions
{
    /// <summary>Whether blobs always go through the mirror, also where clients could fetch them from the store by themselves. Default false.</summary>
    public bool Disable { get; set; }
}
